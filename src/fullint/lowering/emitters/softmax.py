"""Softmax: the scale of the scores and log2(e) become one factor."""

from __future__ import annotations

import math

import numpy as np
import torch

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.softmax_parts import FRACTION_BITS, LARGEST_DISTANCE
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding, of_rank
from fullint.lowering.factors import fast_factors
from fullint.quantization.grids import LevelGrid, Log2Grid, RowRelativeGrid, UniformGrid

TABLE_OCTAVES = 16
TABLE_ENTRIES = TABLE_OCTAVES << FRACTION_BITS


@register(normal_form.softmax)
def emit_softmax(emission: Emission) -> Encoding:
    """softmax, log2_softmax, exponentials or table_softmax, as the attention map's grid asks."""
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
    if not isinstance(grid, LevelGrid | UniformGrid) or grid.scale.numel() != 1:
        raise FullintError("an attention map needs a grid of one scale")
    if isinstance(grid, UniformGrid) and _is_unit(grid):
        emission.emit("softmax", inputs, name)
        return Encoding(name, of_rank(1 / 255, emission.rank))
    table = emission.add_constant("table", logarithm_table(grid))
    emission.emit("table_softmax", [*inputs, table], name)
    return Encoding(name, of_rank(float(grid.scale), emission.rank))


def _is_unit(grid: UniformGrid) -> bool:
    codes = (grid.low, grid.high, grid.zero_point)
    return codes == (0, 255, 0) and bool(np.isclose(float(grid.scale), 1 / 255))


def logarithm_table(grid: LevelGrid | UniformGrid) -> np.ndarray:
    """Integers of `table_softmax`, (1 or heads, entries): entry L of the weights from 2^(-L / 1024)
    down to the next, its middle decides. The last entry stands for all that is smaller, zero too.
    """
    weights = torch.exp2(
        -(torch.arange(TABLE_ENTRIES, dtype=torch.float64) + 0.5) / 2**FRACTION_BITS
    )
    weights[-1] = 0
    heads = len(grid.levels) if isinstance(grid, LevelGrid) and grid.levels.ndim == 2 else 1
    integers = grid.integers(weights.expand(heads, 1, -1))
    return integers.squeeze(1).numpy().astype(np.int64)
