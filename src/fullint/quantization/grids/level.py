"""Levels: any finite set of values, as integers times one scale."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fullint.quantization.grids.uniform import usable_scale

# A power of two, so that powers of two are levels exactly. Rows of attention weights then sum to a
# little more than this, and fit int32 with any 8-bit value, whatever the number of tokens.
LARGEST_ATTENTION_LEVEL = 2**14
# Half of that, so that sums over 4096 channels fit int32 with 8-bit weights of a mean size below
# 64, as real ones have: a type rule adds up the sizes of a row's weights.
LARGEST_ACTIVATION_LEVEL = 2**13


@dataclass(frozen=True)
class LevelGrid:
    """real = levels[code] * scale, with code the number of thresholds not above the value.

    Attributes:
        levels: (codes,), or (heads, codes) for attention maps (..., heads, M, K); int64, ascending.
            Equal neighbours waste a code and do no harm.
        thresholds: (codes - 1,) or (heads, codes - 1) real numbers between them, ascending float64.
        scale: scalar float64.
    """

    levels: Tensor
    thresholds: Tensor
    scale: Tensor

    def integers(self, values: Tensor) -> Tensor:
        """The levels that values take, integral floats: what a table of the program gives."""
        thresholds = self.thresholds.to(values.dtype)
        levels = self.levels.to(values.dtype)
        if levels.ndim == 1:
            return levels[torch.bucketize(values.contiguous(), thresholds, right=True)]
        by_head = values.movedim(-3, 0)
        codes = torch.searchsorted(
            thresholds, by_head.reshape(len(levels), -1).contiguous(), right=True
        )
        return levels.gather(1, codes).reshape(by_head.shape).movedim(0, -3)

    def fake_quantize(self, values: Tensor) -> Tensor:
        """Values on the grid."""
        return self.integers(values) * self.scale.to(values.dtype)


def level_grid(reals: Tensor, thresholds: Tensor, *, largest_level: int) -> LevelGrid:
    """Grid of real values, rounded to integers of which `largest_level` stands for the largest in
    size.

    Args:
        reals: ascending (codes,) or (heads, codes).
        thresholds: between them, as `LevelGrid` has them.
    """
    scale = usable_scale(reals.double().abs().max() / largest_level)
    return LevelGrid(torch.round(reals.double() / scale).long(), thresholds.double(), scale)


def nearest_level_grid(levels: Tensor, scale: float) -> LevelGrid:
    """Grid of integers (codes,), in any order, that rounds every value to the nearest."""
    ascending = levels.unique()
    thresholds = (ascending[:-1] + ascending[1:]).double() / 2 * scale
    return LevelGrid(ascending, thresholds, torch.tensor(scale, dtype=torch.float64))
