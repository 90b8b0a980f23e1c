"""SULQ attention maps: the shift is searched."""

from __future__ import annotations

from fullint.quantization.grids import LevelGrid, shift_uniform_log2_grid
from fullint.quantization.quantizers.attention_histogram import AttentionMapQuantizer
from fullint.recipes.schema import ShiftUniformLog2Config

SHIFTS = (0.001, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.2, 0.5, 1.0)


class ShiftUniformLog2Quantizer(AttentionMapQuantizer):
    """Least squared error over I&S-ViT's shifts, up to the largest weight seen."""

    def __init__(self, config: ShiftUniformLog2Config) -> None:
        super().__init__()
        self.num_bits = config.num_bits

    def freeze(self) -> LevelGrid:
        """The best shift."""
        largest = self.histogram.quantile(1.0)
        return self.best(shift_uniform_log2_grid(self.num_bits, shift, largest) for shift in SHIFTS)
