"""log sqrt2 attention maps: the largest value is searched."""

from __future__ import annotations

from fullint.quantization.grids import LevelGrid, log_sqrt2_grid
from fullint.quantization.observers.percentile_list import PERCENTILES
from fullint.quantization.quantizers.attention_histogram import AttentionMapQuantizer
from fullint.recipes.schema import LogSqrt2Config


class LogSqrt2Quantizer(AttentionMapQuantizer):
    """Least squared error over RepQ-ViT's quantiles."""

    def __init__(self, config: LogSqrt2Config) -> None:
        super().__init__()
        self.num_bits = config.num_bits

    def freeze(self) -> LevelGrid:
        """The best of three."""
        quantiles = (self.histogram.quantile(percentile) for percentile in PERCENTILES)
        return self.best(log_sqrt2_grid(self.num_bits, largest) for largest in quantiles)
