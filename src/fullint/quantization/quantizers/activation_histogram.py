"""Outputs of an activation function in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from fullint.quantization.grids import SCALE_OF_ZERO, LevelGrid
from fullint.quantization.observers.histogram import HistogramObserver
from fullint.quantization.quantizers.base import Quantizer


class ActivationHistogramQuantizer(Quantizer):
    """Base of those that look at a histogram of all values."""

    passes = HistogramObserver.passes

    def __init__(self, num_bits: int) -> None:
        self.num_bits = num_bits
        self.histogram = HistogramObserver(num_bits=num_bits, symmetric=False)

    def observe(self, values: Tensor, pass_index: int) -> None:
        """Range first, then counts."""
        self.histogram.observe(values.reshape(1, -1), pass_index)

    def ends(self) -> tuple[float, float]:
        """Smallest value, at most zero; largest, more than zero."""
        low, high = self.histogram.range()
        return min(float(low), 0.0), max(float(high), SCALE_OF_ZERO)

    def squared_error(self, grid: LevelGrid) -> float:
        """Sum over all values, to within a bin."""
        assert self.histogram.counts is not None
        centers = self.histogram.bin_centers()
        difference = grid.fake_quantize(centers) - centers
        return float(torch.sum(self.histogram.counts * difference.square()))

    def best(self, grids: Iterable[LevelGrid]) -> LevelGrid:
        """The grid with the least squared error."""
        return min(grids, key=self.squared_error)
