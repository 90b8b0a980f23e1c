"""smooth_quant: SmoothQuant (Xiao et al., arXiv 2211.10438), and SQ-b of MPTQ-ViT (arXiv
2401.14895).

Channels of LayerNorm's output are divided by max|x|^a / max|w|^(1 - a) (SmoothQuant, eq. 4), which
moves the difficulty of unequal channels from the activations into the weights behind them.
Centred, the middle of a channel's range is taken off first, and joins the bias.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.steps import implements
from fullint.quantization.transforms.channel_statistics import channel_statistics
from fullint.quantization.transforms.layer_norms import foldable_layer_norms
from fullint.recipes.steps import SmoothQuantConfig


@implements(SmoothQuantConfig)
def smooth_quant(graph: QuantizedGraph, config: SmoothQuantConfig, data: CalibrationData) -> None:
    """Change every LayerNorm that only linear layers of its own read."""
    norms = foldable_layer_norms(graph)
    for node, statistics in channel_statistics(graph.module, set(norms), data).items():
        if config.centered:
            center, largest = statistics.center, statistics.spread
        else:
            center, largest = torch.zeros_like(statistics.low), statistics.largest
        columns = norms[node].weight.abs().amax(dim=0)
        norms[node].fold(migration_factors(largest, columns, config.balance), center)


def migration_factors(largest: Tensor, columns: Tensor, balance: float) -> Tensor:
    """largest^balance / columns^(1 - balance), of geometric mean 1, (channels,).

    Channels that are all zero or that no weight reads keep the factor 1.

    Args:
        largest: magnitude of each channel.
        columns: magnitude of the weights that read it.
    """
    factors = torch.ones_like(largest)
    usable = (largest > 0) & (columns > 0)
    if usable.any():
        raw = largest[usable] ** balance / columns[usable] ** (1 - balance)
        factors[usable] = raw / raw.log().mean().exp()
    return factors
