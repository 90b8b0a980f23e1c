"""AdaLog: the base is searched, of an activation's outputs together with the largest value."""

from __future__ import annotations

import torch

from fullint.quantization.grids import LevelGrid, adalog_activation_grid, adalog_grid
from fullint.quantization.quantizers.activation_histogram import ActivationHistogramQuantizer
from fullint.quantization.quantizers.attention_histogram import AttentionMapQuantizer
from fullint.recipes.schema import AdaLogConfig

# The published list begins at 10, which leaves most of more than 16 codes below anything that
# occurs: six bits gain 4 dB and more from finer bases.
NUMERATORS = range(2, 138)
KEPT_NUMERATORS = 8
SHARES_OF_LARGEST = [1 - step / 16 for step in range(16)]


class AdaLogQuantizer(AttentionMapQuantizer):
    """Attention weights: least squared error over all bases, of all heads together or of each."""

    def __init__(self, config: AdaLogConfig) -> None:
        super().__init__()
        self.config = config

    def freeze(self) -> LevelGrid:
        """One base, or one a head."""
        grids = (adalog_grid(self.config.num_bits, [numerator]) for numerator in NUMERATORS)
        errors = torch.stack([self.histogram.squared_error(grid) for grid in grids])
        if self.config.strategy == "tensor":
            errors = errors.sum(1, keepdim=True)
        best = [NUMERATORS[index] for index in errors.argmin(0).tolist()]
        return adalog_grid(self.config.num_bits, best)


class AdaLogActivationQuantizer(ActivationHistogramQuantizer):
    """Outputs of an activation function, shifted by their minimum: the eight best bases at the full
    range, then sixteen ranges for each.
    """

    def __init__(self, config: AdaLogConfig) -> None:
        super().__init__(config.num_bits)

    def freeze(self) -> LevelGrid:
        """The best base and range."""
        low, high = self.ends()

        def grid(numerator: int, share: float = 1.0) -> LevelGrid:
            return adalog_activation_grid(
                self.num_bits, numerator, largest=share * (high - low), shift=-low
            )

        kept = sorted(NUMERATORS, key=lambda numerator: self.squared_error(grid(numerator)))
        return self.best(
            grid(numerator, share)
            for numerator in kept[:KEPT_NUMERATORS]
            for share in SHARES_OF_LARGEST
        )
