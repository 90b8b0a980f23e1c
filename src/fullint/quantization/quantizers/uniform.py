"""Uniform quantizer: an observer's range, spread evenly over the codes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fullint.quantization.granularity import Groups, TokenPositions
from fullint.quantization.grids import UniformGrid, uniform_grid
from fullint.quantization.observers import make_observer
from fullint.quantization.quantizers.base import Quantizer
from fullint.recipes.schema import UniformConfig


class UniformQuantizer(Quantizer):
    """One scale a group. Asymmetric grids have one group only (one zero point a tensor), but for
    token positions, which have a zero point each.
    """

    def __init__(
        self,
        config: UniformConfig,
        groups: Groups | TokenPositions,
        through: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.config = config
        self.groups = groups
        self.observer = make_observer(
            config.observer, num_bits=config.num_bits, symmetric=config.symmetric, through=through
        )
        self.passes = self.observer.passes

    def observe(self, values: Tensor, pass_index: int) -> None:
        """Show the observer the elements by group."""
        self.observer.observe(self.groups.split(values), pass_index)

    def freeze(self) -> UniformGrid:
        """The grid over the observed range, times headroom."""
        low, high = (
            self.groups.broadcast(end) * self.config.headroom for end in self.observer.range()
        )
        grid = uniform_grid(
            low, high, num_bits=self.config.num_bits, symmetric=self.config.symmetric
        )
        if self.config.power_of_two_scale:
            scale = torch.exp2(torch.ceil(torch.log2(grid.scale)))
            return UniformGrid(scale, grid.zero_point, grid.low, grid.high)
        return grid
