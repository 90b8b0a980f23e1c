"""bias_correction: the mean error of every output channel, taken out of the bias.

Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (arXiv
1906.04721, section 4.2), from images instead of BatchNorm's statistics: the bias grows by
E[y - Q(W) r], y the float model's outputs and r the rounded inputs.
"""

from __future__ import annotations

from fullint.quantization.correction.layers import LayerProblem, corrects
from fullint.recipes.steps import BiasCorrectionConfig


@corrects(BiasCorrectionConfig)
def correct_bias(layer: LayerProblem, config: BiasCorrectionConfig) -> None:
    """Change the bias, if there is one."""
    layer.match_means(layer.grid.fake_quantize(layer.weight))
