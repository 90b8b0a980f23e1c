"""stream_rotation: turn the residual stream, so that no channel of it stands out.

Rotations of the stream are usual with RMSNorm (QuaRot, arXiv 2404.00456), which commutes with all
of them. LayerNorm, its gain and offset folded into the layers behind it, commutes with those that
leave the vector of ones in place: they keep the mean of the channels and the variance around it.
So the layers that write the stream take R, those that read it its transpose, and no LayerNorm has
to become an RMSNorm. A stream through patch merging (Swin), or through a LayerNorm that more than
linear layers read, stays.
"""

from __future__ import annotations

import torch
import torch.fx
from torch import Tensor

from fullint.capture import normal_form
from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.steps import implements
from fullint.quantization.transforms.channel_spaces import ChannelSpace, find_channel_spaces
from fullint.quantization.transforms.constants import constants_of, parameter
from fullint.quantization.transforms.layer_norm_folding import fold_affine
from fullint.quantization.transforms.layer_norms import foldable_layer_norms
from fullint.recipes.steps import StreamRotationConfig


@implements(StreamRotationConfig)
def rotate_streams(
    graph: QuantizedGraph, config: StreamRotationConfig, data: CalibrationData
) -> None:
    """Change every stream whose LayerNorms can be folded."""
    generator = torch.Generator().manual_seed(config.seed)
    norms = foldable_layer_norms(graph)
    for space in find_channel_spaces(graph.module.graph):
        inside = [node for node in space.nodes if node.target is normal_form.layer_norm]
        bends = any(node.target is normal_form.activation for node in space.nodes)
        if inside and not bends and all(node in norms for node in inside):
            for node in inside:
                fold_affine(norms[node])
            _rotate(graph.module, space, rotation_around_ones(space.channels, generator))


def _rotate(module: torch.fx.GraphModule, space: ChannelSpace, rotation: Tensor) -> None:
    for linear in space.writers:
        for constant in constants_of(linear):
            rows = parameter(module, constant)
            rows.copy_(rotation @ rows.double())
    for linear in space.readers:
        columns = parameter(module, linear.args[1])
        columns.copy_(columns.double() @ rotation.T)
    for constant in space.constants:
        values = parameter(module, constant)
        values.copy_(values.double() @ rotation.T)


def rotation_around_ones(channels: int, generator: torch.Generator) -> Tensor:
    """A random orthogonal matrix (channels, channels), float64, that maps ones to ones."""
    bases = torch.randn(2, channels, channels, generator=generator, dtype=torch.float64)
    bases[:, :, 0] = 1
    first, second = torch.linalg.qr(bases).Q
    return second @ first.T
