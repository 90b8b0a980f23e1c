"""layer_norm_equalization: centre and balance LayerNorm's output channels, at the cost of the
linear layers behind it.

A channel's range is put around zero (SQ-b of MPTQ-ViT), and activations are balanced against
weights as in smooth_quant, except that each LayerNorm finds its own balance, from the rounding
errors it predicts for both sides.
"""

from __future__ import annotations

from torch import Tensor

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.steps import implements
from fullint.quantization.transforms.channel_statistics import channel_statistics
from fullint.quantization.transforms.layer_norms import foldable_layer_norms
from fullint.quantization.transforms.smooth_quant import migration_factors
from fullint.recipes.steps import LayerNormEqualizationConfig

BALANCES = [0.05 * step for step in range(21)]


@implements(LayerNormEqualizationConfig)
def equalize_layer_norms(
    graph: QuantizedGraph, config: LayerNormEqualizationConfig, data: CalibrationData
) -> None:
    """Change every LayerNorm that only linear layers of its own read."""
    norms = foldable_layer_norms(graph)
    for node, statistics in channel_statistics(graph.module, set(norms), data).items():
        factors = balancing_factors(statistics.spread, statistics.mean_square, norms[node].weight)
        norms[node].fold(factors, statistics.center)


def balancing_factors(largest: Tensor, mean_square: Tensor, weight: Tensor) -> Tensor:
    """By how much to divide each channel (channels,), float64: the migration of the least predicted
    error.

    Args:
        largest, mean_square: of the channels (channels,).
        weight: (outputs, channels), what they are multiplied with.
    """
    columns = weight.abs().amax(dim=0)
    return min(
        (migration_factors(largest, columns, balance) for balance in BALANCES),
        key=lambda factors: predicted_error(largest, mean_square, weight, factors),
    )


def predicted_error(largest: Tensor, mean_square: Tensor, weight: Tensor, factors: Tensor) -> float:
    """Rounding error behind the linear layer, up to a constant, with both sides on grids of the
    same number of bits.

    A grid's step is proportional to its range, the error of a code to the step squared: activations
    have one range for the tensor, weights one an output.
    """
    scaled = weight * factors
    activation_step = (largest / factors).max()
    weight_steps = scaled.abs().amax(dim=1)
    from_activations = activation_step.square() * scaled.square().sum()
    from_weights = weight_steps.square().sum() * (mean_square / factors.square()).sum()
    return float(from_activations + from_weights)
