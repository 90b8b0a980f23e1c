"""Activation functions: a table with one entry for each input code."""

from __future__ import annotations

import numpy as np
import torch

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.lowering.context import grid_scale, scalar_scale
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding

LARGEST_TABLE = 4096


@register(normal_form.activation)
def emit_activation(emission: Emission) -> Encoding:
    """lookup: the function of every input code, rounded once onto the output's grid."""
    node, kind = emission.arguments
    x, grid = emission.numbers(node), emission.uniform_grid()
    input_type = emission.builder.types[x.name]
    codes_in_range = input_type.high - input_type.low + 1
    if codes_in_range > LARGEST_TABLE:
        raise FullintError(
            f"its input has {codes_in_range} codes; quantize it ('activation_input') so that a "
            f"table of {LARGEST_TABLE} holds them"
        )
    codes = torch.arange(input_type.low, input_type.high + 1, dtype=torch.float64)
    values = (codes - x.zero_point) * scalar_scale(x)
    table = grid.quantize(normal_form.activation(values, kind)).numpy().astype(np.int64)
    inputs = [x.name, emission.add_constant("table", table)]
    emission.emit("lookup", inputs, emission.name, offset=input_type.low)
    return Encoding(emission.name, grid_scale(grid, emission.rank), grid.zero_point)
