"""head_rotation: turn the channels of every head, so that none of them stands out.

Scores do not change when queries and keys of a head are turned alike, nor does the layer behind the
attention's output when its columns are turned back as the values are turned (QuaRot, arXiv
2404.00456, section 4).
"""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.steps import implements
from fullint.quantization.transforms.attention import find_attentions
from fullint.recipes.steps import HeadRotationConfig


@implements(HeadRotationConfig)
def rotate_heads(graph: QuantizedGraph, config: HeadRotationConfig, data: CalibrationData) -> None:
    """Change every attention whose queries, keys and values come from linear layers of their own,
    with channels of their own for every head.
    """
    generator = torch.Generator().manual_seed(config.seed)
    for found in find_attentions(graph):
        heads, channels = found.query.channels.shape
        if found.query.can_be_turned and found.key.can_be_turned:
            rotations = random_rotations(heads, channels, generator)
            found.query.rotate(rotations)
            found.key.rotate(rotations)
        if found.value.can_be_turned:
            heads, channels = found.value.channels.shape
            found.rotate_values(random_rotations(heads, channels, generator))


def random_rotations(count: int, channels: int, generator: torch.Generator) -> Tensor:
    """Random orthogonal matrices (count, channels, channels), float64."""
    basis = torch.randn(count, channels, channels, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(basis).Q
