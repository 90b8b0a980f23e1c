"""Uniform grids as a search sees them: scale, and zero point as the integer."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from fullint.quantization.grids import SMALLEST_SCALE, SMALLEST_SHARE, UniformGrid
from fullint.quantization.search.parameters import Family, Parameters


class UniformFamily(Family):
    """Same codes and same layout as the present grid.

    Args:
        present: the grid.
        group: number of the group of every entry of the present scale, of its shape; -1 for entries
            that stay. The ratio of the scales in one group stays.

    Attributes:
        symmetric: whether the zero point is fixed, as it is with signed codes.
        smallest: least scale that a bias in these steps can live with, see SMALLEST_SHARE.
    """

    def __init__(self, present: UniformGrid, group: Tensor) -> None:
        self.present = present
        self.searched = group >= 0
        self.group = group.clamp_min(0)
        first = torch.stack(
            [(group.reshape(-1) == g).nonzero()[0, 0] for g in range(int(group.max()) + 1)]
        )
        zero_points = torch.as_tensor(present.zero_point, dtype=torch.float64)
        self.start = Parameters(
            present.scale.reshape(-1)[first].double(),
            zero_points.expand(present.scale.shape).reshape(-1)[first],
        )
        self.symmetric = present.low < 0
        self.integer_range = (0, 0) if self.symmetric else (present.low, present.high)
        self.smallest = max(float(present.scale.max()) * SMALLEST_SHARE, SMALLEST_SCALE)
        self.ratio = present.scale / self.start.scale[self.group]

    def grid(self, parameters: Parameters) -> UniformGrid:
        """See Family."""
        scale = self.ratio * parameters.scale.clamp_min(self.smallest)[self.group]
        scale = torch.where(self.searched, scale, self.present.scale)
        zero_point = self.present.zero_point
        if isinstance(zero_point, Tensor):
            moved = parameters.integer.to(zero_point.dtype)[self.group]
            zero_point = torch.where(self.searched, moved, zero_point)
        else:
            zero_point = int(parameters.integer[0])
        return replace(self.present, scale=scale, zero_point=zero_point)

    def of_range(self, low: Tensor, high: Tensor) -> Parameters:
        """See Family; zero is in every range."""
        low, high = low.clamp_max(0), high.clamp_min(0)
        if self.symmetric:
            scale = torch.maximum(high / self.present.high, low / self.present.low)
            return Parameters(scale.clamp_min(SMALLEST_SCALE), self.start.integer)
        codes = self.present.high - self.present.low
        scale = ((high - low) / codes).clamp_min(SMALLEST_SCALE)
        zero_point = torch.round(self.present.low - low / scale)
        return Parameters(scale, zero_point.clamp(self.present.low, self.present.high))
