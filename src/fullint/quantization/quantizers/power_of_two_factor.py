"""PTF, the power-of-two factor of FQ-ViT (arXiv 2111.13824, eq. 9 and 10).

One scale and zero point for the tensor; every channel's scale is that scale times 2^a, a in 0..3,
so that LayerNorm can bring the channels together by shifts. The published code takes a from the
last batch; here it is the least squared error over all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.grids import UniformGrid, uniform_grid
from fullint.quantization.observers import make_observer
from fullint.quantization.quantizers.base import Quantizer
from fullint.recipes.schema import UniformConfig

LARGEST_FACTOR = 3


class PowerOfTwoFactorQuantizer(Quantizer):
    """Range first, then the squared error of each of the four factors in each channel."""

    def __init__(self, config: UniformConfig) -> None:
        self.config = config
        self.observer = make_observer(
            config.observer, num_bits=config.num_bits, symmetric=config.symmetric
        )
        self.passes = self.observer.passes + 1
        self.candidates: list[UniformGrid] = []
        self.errors: Tensor | None = None

    def observe(self, values: Tensor, pass_index: int) -> None:
        """The observer's passes, then one that measures the candidates."""
        if pass_index < self.observer.passes:
            self.observer.observe(values.reshape(1, -1), pass_index)
            return
        if not self.candidates:
            self.candidates = self._candidates()
        rows = values.reshape(-1, values.shape[-1])
        errors = torch.stack(
            [(grid.fake_quantize(rows) - rows).square().sum(0) for grid in self.candidates]
        )
        self.errors = errors.double() if self.errors is None else self.errors + errors

    def _candidates(self) -> list[UniformGrid]:
        low, high = (end.reshape(()) for end in self.observer.range())
        widest = uniform_grid(
            low, high, num_bits=self.config.num_bits, symmetric=self.config.symmetric
        )
        # The whole range takes the largest factor; the zero point belongs to it, as in the
        # published code.
        return [
            UniformGrid(
                widest.scale / 2 ** (LARGEST_FACTOR - factor),
                widest.zero_point,
                widest.low,
                widest.high,
            )
            for factor in range(LARGEST_FACTOR + 1)
        ]

    def freeze(self) -> UniformGrid:
        """The least-error factor of every channel."""
        assert self.errors is not None
        factor = self.errors.argmin(dim=0)
        scale = torch.stack([grid.scale for grid in self.candidates])[factor]
        first = self.candidates[0]
        return UniformGrid(scale, first.zero_point, first.low, first.high)
