"""Softmax: the scale of the scores and log2(e) become one factor."""

from __future__ import annotations

import math

import numpy as np

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.softmax_parts import FRACTION_BITS, LARGEST_DISTANCE
from fullint.integer.types import TensorType
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding, of_rank
from fullint.lowering.factors import fast_factors
from fullint.quantization.grids import Log2Grid, RowRelativeGrid


@register(normal_form.softmax)
def emit_softmax(emission: Emission) -> Encoding:
    """softmax, log2_softmax or exponentials, as the grid of the attention map asks."""
    scores = emission.input()
    if scores.scale.shape[-1] != 1:
        raise FullintError(f"{emission.source}: scales differ along the rows of '{emission.name}'")
    builder, grid, name, source = emission.builder, emission.grid, emission.name, emission.source
    span = _span(builder.types[scores.name])
    factor = scores.scale * math.log2(math.e) * 2**FRACTION_BITS
    factors = fast_factors(factor, largest_input=span, largest_output=LARGEST_DISTANCE)
    inputs = [scores.name, *builder.add_factors(name, factors)]
    rank = scores.scale.ndim
    if isinstance(grid, Log2Grid):
        builder.emit("log2_softmax", inputs, name, source=source, rounding=grid.rounding)
        return Encoding(name, of_rank(1.0, rank), kind="log2")
    if isinstance(grid, RowRelativeGrid):
        builder.emit("exponentials", inputs, name, source=source)
        return Encoding(name, of_rank(1.0, rank), kind="row_relative")
    uniform = emission.uniform_grid()
    if (uniform.low, uniform.high, uniform.zero_point) != (0, 255, 0) or not np.isclose(float(uniform.scale), 1 / 255):
        raise FullintError(f"{source}: the integer softmax gives uint8 codes in steps of 1/255, or log2 codes")
    builder.emit("softmax", inputs, name, source=source)
    return Encoding(name, of_rank(1 / 255, rank))


def _span(scores: TensorType) -> int:
    return max(scores.high - scores.low, 1)
