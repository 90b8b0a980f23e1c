"""Twin grids: the exponent between the two steps is searched (OPT-m of MPTQ-ViT), of an
activation's outputs together with the step.
"""

from __future__ import annotations

from fullint.quantization.grids import LevelGrid, twin_activation_grid, twin_grid
from fullint.quantization.grids.twin import (
    largest_twin_activation_exponent,
    largest_twin_exponent,
)
from fullint.quantization.quantizers.activation_histogram import ActivationHistogramQuantizer
from fullint.quantization.quantizers.attention_histogram import AttentionMapQuantizer
from fullint.recipes.schema import TwinConfig

SHARES_OF_LARGEST = [1 - step / 32 for step in range(32)]


class TwinQuantizer(AttentionMapQuantizer):
    """Attention weights: least squared error over all exponents."""

    def __init__(self, config: TwinConfig) -> None:
        super().__init__()
        self.num_bits = config.num_bits

    def freeze(self) -> LevelGrid:
        """The best exponent."""
        exponents = range(largest_twin_exponent(self.num_bits) + 1)
        return self.best(twin_grid(self.num_bits, exponent) for exponent in exponents)


class TwinActivationQuantizer(ActivationHistogramQuantizer):
    """Outputs of an activation function: least squared error over exponents and steps.

    PTQ4ViT fixes the negative step so that its codes end at GELU's minimum, which leaves the
    positive one a choice of powers of two; here the pair is searched.
    """

    def __init__(self, config: TwinConfig) -> None:
        super().__init__(config.num_bits)

    def freeze(self) -> LevelGrid:
        """The best exponent and step."""
        widest = self.ends()[1] / (2 ** (self.num_bits - 1) - 1)
        exponents = range(largest_twin_activation_exponent(self.num_bits) + 1)
        return self.best(
            twin_activation_grid(self.num_bits, exponent, positive_scale=share * widest)
            for exponent in exponents
            for share in SHARES_OF_LARGEST
        )
