"""Attention weights in bounded memory: a histogram of their logarithms, a head each."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from fullint.quantization.grids import LevelGrid
from fullint.quantization.quantizers.base import Quantizer

BINS_PER_OCTAVE = 64
# Anything smaller than 2^-20 is as good as zero, and counts as that.
OCTAVES = 20
BINS = BINS_PER_OCTAVE * OCTAVES


class AttentionHistogram:
    """Counts and sums of attention weights (..., heads, M, K) by logarithm.

    Most weights are far below one and matter as much as the few large ones, so the bins are a
    64th of an octave wide throughout.
    """

    def __init__(self) -> None:
        self.counts = self.sums = torch.zeros(1, BINS, dtype=torch.float64)

    def add(self, weights: Tensor) -> None:
        """Take in one batch."""
        heads = weights.shape[-3]
        by_head = weights.movedim(-3, 0).reshape(heads, -1)
        logarithms = by_head.clamp_min(2.0**-OCTAVES).log2_().mul_(-BINS_PER_OCTAVE)
        bins = logarithms.to(torch.int32).clamp_(0, BINS - 1)
        bins += torch.arange(heads, dtype=torch.int32)[:, None] * BINS
        flat, size = bins.flatten(), heads * BINS
        self.counts = self.counts + torch.bincount(flat, minlength=size).reshape(heads, BINS)
        sums = torch.bincount(flat, by_head.flatten().double(), minlength=size)
        self.sums = self.sums + sums.reshape(heads, BINS)

    @property
    def means(self) -> Tensor:
        """Mean weight of every bin, (heads, BINS)."""
        return self.sums / self.counts.clamp_min(1)

    def squared_error(self, grid: LevelGrid) -> Tensor:
        """Sum of squared errors of each head, (heads,), but for what bins are wide."""
        means = self.means
        difference = grid.fake_quantize(means[:, None]).squeeze(1) - means
        return (self.counts * difference.square()).sum(1)

    def quantile(self, share: float) -> float:
        """The weight below which this share of all lies, to within a bin."""
        ascending = self.counts.sum(0).flip(0).cumsum(0)
        index = int(torch.searchsorted(ascending, share * ascending[-1]))
        return float(2.0 ** (-(BINS - 1 - index) / BINS_PER_OCTAVE))


class AttentionMapQuantizer(Quantizer):
    """Base of those that look at the histogram."""

    passes = 1

    def __init__(self) -> None:
        self.histogram = AttentionHistogram()

    def observe(self, values: Tensor, pass_index: int) -> None:
        """Count weights."""
        self.histogram.add(values)

    def best(self, grids: Iterable[LevelGrid]) -> LevelGrid:
        """The grid with the least squared error, over all heads."""
        return min(grids, key=lambda grid: float(self.histogram.squared_error(grid).sum()))
