"""Activation functions: a table with one entry for each input code."""

from __future__ import annotations

import numpy as np
import torch

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.lowering.context import scalar_scale
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding, of_rank
from fullint.quantization.grids import LevelGrid

LARGEST_TABLE = 4096


@register(normal_form.activation)
def emit_activation(emission: Emission) -> Encoding:
    """lookup: the function of every input code, rounded once onto the output's grid."""
    node, kind = emission.arguments
    x = emission.numbers(node)
    input_type = emission.builder.types[x.name]
    codes_in_range = input_type.high - input_type.low + 1
    if codes_in_range > LARGEST_TABLE:
        raise FullintError(
            f"its input has {codes_in_range} codes; quantize it ('activation_input') so that a "
            f"table of {LARGEST_TABLE} holds them"
        )
    codes = torch.arange(input_type.low, input_type.high + 1, dtype=torch.float64)
    values = (codes - x.zero_point) * scalar_scale(x)
    outputs = normal_form.activation(values, kind)
    if isinstance(emission.grid, LevelGrid):
        integers, scale, zero_point = emission.grid.integers(outputs), emission.grid.scale, 0
    else:
        grid = emission.uniform_grid()
        integers, scale, zero_point = grid.quantize(outputs), grid.scale, grid.common_zero_point
    table = emission.add_constant("table", integers.numpy().astype(np.int64))
    emission.emit("lookup", [x.name, table], emission.name, offset=input_type.low)
    return Encoding(emission.name, of_rank(scale.numpy(), emission.rank), zero_point)
