"""Quantizers of attention maps: their grids are known beforehand, a softmax lies in [0, 1]."""

from __future__ import annotations

import torch

from fullint.quantization.grids import Log2Grid, RowRelativeGrid, UniformGrid
from fullint.quantization.quantizers.base import Quantizer
from fullint.recipes.schema import Log2Config, SoftmaxConfig


class FixedQuantizer(Quantizer):
    """Evenly spaced codes from 0 to 1."""

    def __init__(self, config: SoftmaxConfig) -> None:
        self.largest = 2**config.num_bits - 1

    def freeze(self) -> UniformGrid:
        """Codes 0..255, of 8 bits."""
        return UniformGrid(torch.tensor(1 / self.largest, dtype=torch.float64), 0, 0, self.largest)


class RowRelativeQuantizer(Quantizer):
    """Steps of 1/255 of the row's maximum."""

    def freeze(self) -> RowRelativeGrid:
        """Codes 0..255, 255 in every row."""
        return RowRelativeGrid()


class Log2Quantizer(Quantizer):
    """Sixteen powers of two."""

    def __init__(self, config: Log2Config) -> None:
        self.rounding = config.rounding

    def freeze(self) -> Log2Grid:
        """Codes 0..15."""
        return Log2Grid(self.rounding)
