"""omse: the shrunk range with the least squared error (FQ-ViT's OMSE)."""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.observers.base import register
from fullint.quantization.observers.histogram import HistogramObserver
from fullint.quantization.observers.rounding_error import squared_error

SHRINK_FACTORS = [1 - 0.01 * step for step in range(90)]


@register("omse")
class OMSEObserver(HistogramObserver):
    """Ninety factors 1.00 to 0.11 shrink minimum and maximum alike; the error is taken over all
    batches, not the last.
    """

    def range(self) -> tuple[Tensor, Tensor]:
        """The best of the shrunk ranges, for every group."""
        low, high = self.extremes.range()
        factors = torch.tensor(SHRINK_FACTORS, dtype=torch.float64)
        lows, highs = low.double()[:, None] * factors, high.double()[:, None] * factors
        best = squared_error(self, lows, highs).argmin(dim=1)
        rows = torch.arange(len(best))
        return lows[rows, best], highs[rows, best]
