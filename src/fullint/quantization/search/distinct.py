"""Trying many grids of levels on the same values quickly.

A grid of levels looks every value up among its thresholds. Values that agree in sign, exponent and
nine bits of mantissa are looked up once instead, by the middle of what they have in common: that
mistakes the level only of values within a thousandth of a threshold, where either does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.grids import LevelGrid

DROPPED_BITS = 14


class DistinctValues:
    """Values (..., heads, M, K) or (rows, K), float32, ready to be rounded again and again."""

    def __init__(self, values: Tensor) -> None:
        # Arithmetic shift: negative values get the lower half of the codes.
        codes = (values.contiguous().view(torch.int32) >> DROPPED_BITS).long()
        lowest = int(codes.min())
        codes -= lowest
        present = torch.zeros(int(codes.max()) + 1, dtype=torch.bool)
        present[codes] = True
        distinct = present.nonzero().squeeze(1)
        bits = ((distinct + lowest) << DROPPED_BITS) + (1 << (DROPPED_BITS - 1))
        self.representatives = bits.to(torch.int32).view(torch.float32)
        self.index = (present.cumsum(0) - 1)[codes]

    def fake_quantize(self, grid: LevelGrid) -> Tensor:
        """The values on a grid."""
        if grid.levels.ndim == 1:
            return grid.fake_quantize(self.representatives).take(self.index)
        heads, count = len(grid.levels), len(self.representatives)
        table = grid.fake_quantize(self.representatives.expand(heads, 1, count))
        first = torch.arange(heads)[:, None, None] * count
        return table.take(self.index + first)
