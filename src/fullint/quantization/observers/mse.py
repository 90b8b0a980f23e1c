"""mse: lower and upper end searched apart, for the least squared error after the function that
follows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.observers.base import register
from fullint.quantization.observers.histogram import HistogramObserver
from fullint.quantization.observers.rounding_error import squared_error

FACTORS = [1 - 0.03 * step for step in range(32)]


@register("mse")
class MSEObserver(HistogramObserver):
    """Coordinate descent over the two ends, 32 factors each, three rounds.

    The error is measured after `through`: in front of a GELU the far negative values, all of which
    become zero, then cost nothing, and the codes go where the output depends on them.
    """

    def range(self) -> tuple[Tensor, Tensor]:
        """The best pair of ends found, for every group."""
        low, high = (end.double() for end in self.extremes.range())
        if self.symmetric:
            high = torch.maximum(high, -low)
            low = -high
        factors = torch.tensor(FACTORS, dtype=torch.float64)
        best_low, best_high = low, high
        rows = torch.arange(len(low))
        for _ in range(1 if self.symmetric else 3):
            highs = high[:, None] * factors
            lows = -highs if self.symmetric else best_low[:, None].expand_as(highs)
            best = squared_error(self, lows, highs).argmin(dim=1)
            best_low, best_high = lows[rows, best], highs[rows, best]
            if not self.symmetric:
                lows = low[:, None] * factors
                best = squared_error(self, lows, best_high[:, None].expand_as(lows)).argmin(dim=1)
                best_low = lows[rows, best]
        return best_low, best_high
