"""Codebooks of least error, for what a matrix product reads."""

from __future__ import annotations

from torch import Tensor

from fullint.quantization.grids import CodebookGrid, uniform_grid
from fullint.quantization.observers.histogram import HistogramObserver
from fullint.quantization.quantizers.base import Quantizer
from fullint.quantization.quantizers.least_error import least_error_levels
from fullint.recipes.schema import LeastErrorConfig

CARRIER_BITS = 8


class CodebookQuantizer(Quantizer):
    """The levels of least error, on an 8-bit grid that covers them."""

    passes = HistogramObserver.passes

    def __init__(self, config: LeastErrorConfig) -> None:
        self.config = config
        self.histogram = HistogramObserver(num_bits=config.num_bits, symmetric=False)

    def observe(self, values: Tensor, pass_index: int) -> None:
        """Range first, then counts."""
        self.histogram.observe(values.reshape(1, -1), pass_index)

    def freeze(self) -> CodebookGrid:
        """Levels, rounded to the carrier's codes."""
        assert self.histogram.counts is not None
        centers, counts = self.histogram.bin_centers()[0], self.histogram.counts[0]
        levels = least_error_levels(centers, counts, 2**self.config.num_bits)
        carrier = uniform_grid(levels[0], levels[-1], num_bits=CARRIER_BITS, symmetric=False)
        return CodebookGrid(carrier, carrier.quantize(levels).long().unique())
