"""layer_norm_folding: move LayerNorm's gain and offset into the linear layers behind it, which
leaves it the plain normalisation.
"""

from __future__ import annotations

import torch

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.steps import implements
from fullint.quantization.transforms.layer_norms import FoldableLayerNorm, foldable_layer_norms
from fullint.recipes.steps import LayerNormFoldingConfig


@implements(LayerNormFoldingConfig)
def fold_layer_norms(
    graph: QuantizedGraph, config: LayerNormFoldingConfig, data: CalibrationData
) -> None:
    """Change every LayerNorm that only linear layers of its own read."""
    for norm in foldable_layer_norms(graph).values():
        fold_affine(norm)


def fold_affine(norm: FoldableLayerNorm) -> None:
    """Make every gain 1 and every offset 0.

    Nothing behind can divide by a gain of 0: the channel, which is constant, joins the bias, and no
    weight reads it any more.
    """
    gamma, beta = (constant.double() for constant in norm.affine)
    norm.fold(torch.where(gamma == 0, 1.0, gamma), beta)
    norm.erase(gamma == 0)
