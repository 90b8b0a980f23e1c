"""Activation functions: a table with one entry for each input code; GELU also by arithmetic."""

from __future__ import annotations

import math

import numpy as np
import torch

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.lowering.context import grid_scale, scalar_scale
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding, of_rank
from fullint.lowering.factors import fast_factors
from fullint.quantization.grids import LevelGrid
from fullint.recipes.operations import IBertGelu, ShiftGelu

LARGEST_TABLE = 4096
GELUS = ("gelu", "gelu_tanh", "quick_gelu")
# I-BERT's parabola for erf, in steps of 2^-10; and the shift that leaves its gate 16 bits.
PARABOLA_BITS = 10
PARABOLA_EDGE = round(1.769 * 2**PARABOLA_BITS)
PARABOLA_UNIT = round(2 ** (2 * PARABOLA_BITS) / 0.2888)
PARABOLA_SHIFT = 7


@register(normal_form.activation)
def emit_activation(emission: Emission) -> Encoding:
    """shiftgelu or ibert_gelu where the recipe asks for it and the function is a GELU, else lookup:
    the function of every input code, rounded once onto the output's grid.
    """
    node, kind = emission.arguments
    x = emission.numbers(node)
    match emission.graph.recipe.gelu:
        case ShiftGelu() as config if kind in GELUS:
            return _emit_shiftgelu(emission, x, config)
        case IBertGelu() if kind in GELUS:
            return _emit_ibert_gelu(emission, x)
    return _emit_lookup(emission, x, kind)


def _emit_lookup(emission: Emission, x: Encoding, kind: str) -> Encoding:
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


def _emit_shiftgelu(emission: Emission, x: Encoding, config: ShiftGelu) -> Encoding:
    octave = 1.0 if config.natural else math.log2(math.e)
    return _emit_gated(
        emission,
        x,
        "shiftgelu",
        steps=config.slope * octave * 2**config.fraction_bits,
        largest_step=config.octaves + 1 << config.fraction_bits,
        gate_of_one=2.0**config.gate_bits,
        fraction_bits=config.fraction_bits,
        octaves=config.octaves,
        natural=int(config.natural),
        rounding=int(config.rounding),
        row_maximum=int(config.row_maximum),
        gate_bits=config.gate_bits,
    )


def _emit_ibert_gelu(emission: Emission, x: Encoding) -> Encoding:
    return _emit_gated(
        emission,
        x,
        "ibert_gelu",
        steps=2**PARABOLA_BITS / math.sqrt(2),
        largest_step=PARABOLA_EDGE,
        gate_of_one=2.0 * PARABOLA_UNIT / 2**PARABOLA_SHIFT,
        edge=PARABOLA_EDGE,
        unit=PARABOLA_UNIT,
        gate_shift=PARABOLA_SHIFT,
    )


def _emit_gated(
    emission: Emission,
    x: Encoding,
    kind: str,
    *,
    steps: float,
    largest_step: int,
    gate_of_one: float,
    **attributes: int,
) -> Encoding:
    """x times a gate in [0, 1].

    Args:
        steps: of the operation's own grid in an input of 1. largest_step: where that saturates.
        gate_of_one: the integer, or nearly, that stands for a gate of 1.
    """
    grid, scale = emission.uniform_grid(), scalar_scale(x)
    x_type = emission.builder.types[x.name]
    span = max(x_type.high, x.zero_point) - min(x_type.low, x.zero_point)
    into = fast_factors(np.array([scale * steps]), largest_input=span, largest_output=largest_step)
    out = fast_factors(
        np.array([scale / gate_of_one / float(grid.scale)]),
        largest_input=math.ceil(span * gate_of_one),
        largest_output=max(grid.high - grid.common_zero_point, grid.common_zero_point - grid.low),
    )
    emission.emit(
        kind,
        [
            x.name,
            *emission.builder.add_factors(f"{emission.name}.input", into),
            *emission.builder.add_factors(emission.name, out),
        ],
        emission.name,
        **attributes,
        zero_x=x.zero_point,
        zero_point=grid.common_zero_point,
        low=grid.low,
        high=grid.high,
    )
    return Encoding(emission.name, grid_scale(grid, emission.rank), grid.common_zero_point)
