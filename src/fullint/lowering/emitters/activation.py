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
    x, grid = emission.input(), emission.uniform_grid()
    input_type = emission.builder.types[x.name]
    if input_type.high - input_type.low >= LARGEST_TABLE:
        raise FullintError(
            f"{emission.source}: the input of '{emission.name}' has {input_type.high - input_type.low + 1} codes; "
            f"quantize it ('activation_input') so that a table of {LARGEST_TABLE} holds them"
        )
    codes = torch.arange(input_type.low, input_type.high + 1, dtype=torch.float64)
    values = (codes - x.zero_point) * scalar_scale(x, emission.source)
    table = grid.quantize(normal_form.activation(values, *emission.node.args[1:])).numpy().astype(np.int64)
    name = emission.name
    inputs = [x.name, emission.builder.add_constant(f"{name}.table", table)]
    emission.builder.emit("lookup", inputs, name, source=emission.source, offset=input_type.low)
    return Encoding(name, grid_scale(grid, len(emission.node.meta["shape"])), grid.zero_point)
