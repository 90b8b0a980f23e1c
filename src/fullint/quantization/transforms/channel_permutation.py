"""channel_permutation: sort channels by the range of the weights that write and read them, so that
those in one block of PTQ-SL's weights are alike (Yuan et al., arXiv 2110.07809, section 3.4).

Rows of the writers and columns of the readers take the new order: in an MLP's hidden layer; in the
residual stream, with its LayerNorms and embeddings, if all of its layers agree (a ViT's do; Swin's
patch merging mixes positions into channels, so its streams stay). Heads keep their channels. The
paper goes on from this order with an evolutionary search.
"""

from __future__ import annotations

import torch
import torch.fx
from torch import Tensor

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.steps import implements
from fullint.quantization.transforms.channel_spaces import ChannelSpace, find_channel_spaces
from fullint.quantization.transforms.constants import constants_of, parameter
from fullint.recipes.steps import ChannelPermutationConfig


@implements(ChannelPermutationConfig)
def permute_channels(
    graph: QuantizedGraph, config: ChannelPermutationConfig, data: CalibrationData
) -> None:
    """Sort every space whose order nothing depends on."""
    for space in find_channel_spaces(graph.module.graph):
        order = _mean_log_range(graph.module, space).argsort()
        for linear in space.writers:
            for constant in constants_of(linear):
                rows = parameter(graph.module, constant)
                rows.copy_(rows[order])
        for linear in space.readers:
            columns = parameter(graph.module, linear.args[1])
            columns.copy_(columns[:, order])
        for constant in space.constants:
            values = parameter(graph.module, constant)
            values.copy_(values[..., order])


def _mean_log_range(module: torch.fx.GraphModule, space: ChannelSpace) -> Tensor:
    """Of the weights at every channel (channels,), the mean over all layers of the logarithm of the
    largest magnitude.
    """
    rows = [parameter(module, linear.args[1]).abs().amax(dim=1) for linear in space.writers]
    columns = [parameter(module, linear.args[1]).abs().amax(dim=0) for linear in space.readers]
    ranges = torch.stack(rows + columns)
    return ranges.clamp_min(torch.finfo(ranges.dtype).tiny).log().mean(dim=0)
