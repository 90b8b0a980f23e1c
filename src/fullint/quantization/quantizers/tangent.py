"""TanQ attention maps: center and angle are searched."""

from __future__ import annotations

from fullint.quantization.grids import LevelGrid, tangent_grid
from fullint.quantization.quantizers.attention_histogram import AttentionMapQuantizer
from fullint.recipes.schema import TangentConfig

CENTERS = (0.1, 0.2, 0.3, 0.4, 0.5)
ANGLES = (0.9, 1.1, 1.3, 1.4, 1.5)


class TangentQuantizer(AttentionMapQuantizer):
    """Least squared error over 25 pairs."""

    def __init__(self, config: TangentConfig) -> None:
        super().__init__()
        self.num_bits = config.num_bits

    def freeze(self) -> LevelGrid:
        """The best pair."""
        return self.best(
            tangent_grid(self.num_bits, center, angle) for center in CENTERS for angle in ANGLES
        )
