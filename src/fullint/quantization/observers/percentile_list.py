"""percentile_list: RepQ-ViT's ranges (arXiv 2212.08254, code), the best of three quantiles."""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.observers.base import register
from fullint.quantization.observers.histogram import HistogramObserver
from fullint.quantization.observers.rounding_error import squared_error

PERCENTILES = (0.999, 0.9999, 0.99999)


@register("percentile_list")
class PercentileListObserver(HistogramObserver):
    """The (1 - p) and p quantiles with the least squared error, p of .999, .9999 and .99999.

    Quantiles of all batches together, to within a bin of the histogram (the published code takes
    those of one batch).
    """

    def range(self) -> tuple[Tensor, Tensor]:
        """The best of the three pairs of quantiles, for every group."""
        lows = torch.stack([self._quantile(1 - p) for p in PERCENTILES], dim=1)
        highs = torch.stack([self._quantile(p) for p in PERCENTILES], dim=1)
        best = squared_error(self, lows, highs).argmin(dim=1)
        rows = torch.arange(len(best))
        return lows[rows, best], highs[rows, best]

    def _quantile(self, share: float) -> Tensor:
        """Linear inside the bin in which the cumulated counts pass `share` of all."""
        assert self.counts is not None
        low, high = (end.double() for end in self.extremes.range())
        cumulated = self.counts.cumsum(1)
        wanted = share * cumulated[:, -1:]
        bins = torch.searchsorted(cumulated, wanted)
        counts = self.counts.gather(1, bins)
        inside = 1 - (cumulated.gather(1, bins) - wanted) / counts.clamp_min(1)
        position = (bins + inside).squeeze(1) / self.counts.shape[1]
        return low + (high - low) * position
