"""Softmax: the scale of the scores and log2(e) become one factor."""

from __future__ import annotations

import math

import numpy as np

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.softmax_parts import FRACTION_BITS, LARGEST_DISTANCE
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding, of_rank
from fullint.lowering.factors import fast_factors
from fullint.quantization.grids import Log2Grid, RowRelativeGrid


@register(normal_form.softmax)
def emit_softmax(emission: Emission) -> Encoding:
    """softmax, log2_softmax or exponentials, as the grid of the attention map asks."""
    scores = emission.numbers(emission.arguments[0])
    if scores.scale.shape[-1] != 1:
        raise FullintError("scales differ along its rows")
    builder, grid, name = emission.builder, emission.grid, emission.name
    scores_type = builder.types[scores.name]
    factors = fast_factors(
        scores.scale * math.log2(math.e) * 2**FRACTION_BITS,
        largest_input=max(scores_type.high - scores_type.low, 1),
        largest_output=LARGEST_DISTANCE,
    )
    inputs = [scores.name, *builder.add_factors(name, factors)]
    if isinstance(grid, Log2Grid):
        emission.emit("log2_softmax", inputs, name, rounding=grid.rounding)
        return Encoding(name, of_rank(1.0, emission.rank), kind="log2")
    if isinstance(grid, RowRelativeGrid):
        emission.emit("exponentials", inputs, name)
        return Encoding(name, of_rank(1.0, emission.rank), kind="row_relative")
    uniform = emission.uniform_grid()
    codes = (uniform.low, uniform.high, uniform.zero_point)
    if codes != (0, 255, 0) or not np.isclose(float(uniform.scale), 1 / 255):
        raise FullintError("the integer softmax gives uint8 codes in steps of 1/255, or log2 codes")
    emission.emit("softmax", inputs, name)
    return Encoding(name, of_rank(1 / 255, emission.rank))
