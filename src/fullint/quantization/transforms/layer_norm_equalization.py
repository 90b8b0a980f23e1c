"""layer_norm_equalization: centre and balance LayerNorm's output channels, at the cost of the
linear layers behind it.

LayerNorm's gain and offset can take any scale and shift of a channel, and the linear layers that
read it can undo both exactly: gamma / r and (beta - c) / r in front, columns times r and bias plus
W c behind. c puts a channel's range around zero (SQ-b of MPTQ-ViT); r balances activations against
weights as SmoothQuant does (arXiv 2211.10438, eq. 4), except that each LayerNorm finds its own
balance, from the rounding errors it predicts for both sides.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.capture import normal_form
from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.roles import is_constant
from fullint.quantization.steps import implements
from fullint.quantization.transforms.channel_statistics import ChannelStatistics, channel_statistics
from fullint.quantization.transforms.readers import linear_readers, parameter
from fullint.recipes.steps import LayerNormEqualizationConfig

BALANCES = [0.05 * step for step in range(21)]


@implements(LayerNormEqualizationConfig)
def equalize_layer_norms(
    graph: QuantizedGraph, config: LayerNormEqualizationConfig, data: CalibrationData
) -> None:
    """Change every LayerNorm that only linear layers with a bias read, all with constants of their
    own: what another layer shares cannot be changed for one.
    """
    module = graph.module
    readers = {
        node: linears
        for node in module.graph.nodes
        if node.target is normal_form.layer_norm
        and (linears := linear_readers(node))
        and all(linear.args[2] is not None for linear in linears)
        and all(
            len(constant.users) == 1
            for reader in (node, *linears)
            for constant in reader.all_input_nodes
            if is_constant(constant)
        )
    }
    for node, statistics in channel_statistics(module, set(readers), data).items():
        weight = torch.cat([parameter(module, linear.args[1]) for linear in readers[node]]).double()
        factors, center = balancing_factors(statistics, weight), statistics.center
        gamma, beta = (parameter(module, argument) for argument in node.args[1:3])
        gamma.copy_(gamma / factors)
        beta.copy_((beta - center) / factors)
        for linear in readers[node]:
            columns, bias = (parameter(module, argument) for argument in linear.args[1:3])
            bias.copy_(bias + torch.mv(columns.double(), center))
            columns.copy_(columns * factors)


def balancing_factors(statistics: ChannelStatistics, weight: Tensor) -> Tensor:
    """By how much to divide each channel (channels,), for a weight (outputs, channels) that reads
    it, float64.

    spread^a / columns^(1 - a) with the a for which the predicted error behind the linear layer is
    least. Channels that are constant or that no weight reads keep the factor 1.
    """
    spread = (statistics.high - statistics.low) / 2
    columns = weight.abs().amax(dim=0)
    usable = (spread > 0) & (columns > 0)
    if not usable.any():
        return torch.ones_like(spread)
    best = min(
        (_factors(spread[usable], columns[usable], balance) for balance in BALANCES),
        key=lambda factors: predicted_error(
            spread[usable], statistics.mean_square[usable], weight[:, usable], factors
        ),
    )
    result = torch.ones_like(spread)
    result[usable] = best
    return result


def _factors(spread: Tensor, columns: Tensor, balance: float) -> Tensor:
    factors = spread**balance / columns ** (1 - balance)
    return factors / factors.log().mean().exp()


def predicted_error(spread: Tensor, mean_square: Tensor, weight: Tensor, factors: Tensor) -> float:
    """Rounding error behind the linear layer, up to a constant, with both sides on grids of the
    same number of bits.

    A grid's step is proportional to its range, the error of a code to the step squared: activations
    have one range for the tensor, weights one an output.
    """
    scaled = weight * factors
    activation_step = (spread / factors).max()
    weight_steps = scaled.abs().amax(dim=1)
    from_activations = activation_step.square() * scaled.square().sum()
    from_weights = weight_steps.square().sum() * (mean_square / factors.square()).sum()
    return float(from_activations + from_weights)
