"""Softmax: the scale of the scores and log2(e) become one factor."""

from __future__ import annotations

import math

import numpy as np
import torch

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.ops.e2softmax import LEAST_ERROR_QUOTIENTS, PUBLISHED_QUOTIENTS
from fullint.integer.softmax_parts import FRACTION_BITS, LARGEST_DISTANCE
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding, of_rank
from fullint.lowering.factors import fast_factors
from fullint.quantization.grids import LevelGrid, Log2Grid, RowRelativeGrid, UniformGrid
from fullint.recipes.operations import E2Softmax, Itamax, Shiftmax

OCTAVE = math.log2(math.e)  # octaves a nat
LARGEST_CODE = 255
TABLE_OCTAVES = 16
TABLE_ENTRIES = TABLE_OCTAVES << FRACTION_BITS


@register(normal_form.softmax)
def emit_softmax(emission: Emission) -> Encoding:
    """The operation that the recipe names; as exact softmax softmax, log2_softmax, exponentials or
    table_softmax, as the attention map's grid asks.
    """
    scores = emission.numbers(emission.arguments[0])
    if scores.scale.shape[-1] != 1:
        raise FullintError("scales differ along its rows")
    match emission.graph.recipe.softmax:
        case Shiftmax() as config:
            return _emit_shiftmax(emission, scores, config)
        case E2Softmax() as config:
            return _emit_e2softmax(emission, scores, config)
        case Itamax() as config:
            return _emit_itamax(emission, scores, config)
    return _emit_exact(emission, scores)


def _emit_exact(emission: Emission, scores: Encoding) -> Encoding:
    grid, name = emission.grid, emission.name
    inputs = _distances(emission, scores, OCTAVE * 2**FRACTION_BITS, LARGEST_DISTANCE)
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


def _emit_shiftmax(emission: Emission, scores: Encoding, config: Shiftmax) -> Encoding:
    grid = emission.uniform_grid()
    bits = grid.high.bit_length()
    steps = (1 if config.natural else OCTAVE) * 2**config.fraction_bits
    emission.emit(
        "shiftmax",
        _distances(emission, scores, steps, config.octaves + 1 << config.fraction_bits),
        emission.name,
        fraction_bits=config.fraction_bits,
        octaves=config.octaves,
        natural=int(config.natural),
        rounding=int(config.rounding),
        output_bits=bits,
    )
    return Encoding(emission.name, of_rank(2.0**-bits, emission.rank))


def _emit_e2softmax(emission: Emission, scores: Encoding, config: E2Softmax) -> Encoding:
    codes, zero_point = _codes(emission, scores, config.fraction_bits, natural=config.natural)
    is_log2 = isinstance(emission.grid, Log2Grid)
    published = config.quotients == "published"
    emission.emit(
        "e2softmax",
        codes,
        emission.name,
        zero_point=zero_point,
        fraction_bits=config.fraction_bits,
        natural=int(config.natural),
        group=config.group,
        output_bits=4 if is_log2 else 8,
        quotients=PUBLISHED_QUOTIENTS if published else LEAST_ERROR_QUOTIENTS,
    )
    if is_log2:
        return Encoding(emission.name, of_rank(1.0, emission.rank), kind="log2")
    return Encoding(emission.name, of_rank(1 / 256, emission.rank))


def _emit_itamax(emission: Emission, scores: Encoding, config: Itamax) -> Encoding:
    codes, zero_point = _codes(emission, scores, config.fraction_bits, natural=False)
    emission.emit(
        "itamax",
        codes,
        emission.name,
        zero_point=zero_point,
        fraction_bits=config.fraction_bits,
        group=config.group,
        rounding=int(config.rounding),
    )
    return Encoding(emission.name, of_rank(1 / 256, emission.rank))


def _distances(
    emission: Emission, scores: Encoding, steps: float, largest_output: int
) -> list[str]:
    """Scores, and factors that bring differences of scores to `steps` a nat."""
    scores_type = emission.builder.types[scores.name]
    factors = fast_factors(
        scores.scale * steps,
        largest_input=max(scores_type.high - scores_type.low, 1),
        largest_output=largest_output,
    )
    return [scores.name, *emission.builder.add_factors(emission.name, factors)]


def _codes(
    emission: Emission, scores: Encoding, fraction_bits: int, *, natural: bool
) -> tuple[list[str], int]:
    """Scores, factors that bring them to 8-bit codes in steps of 2^-fraction_bits octaves or nats,
    and the codes' zero point: the largest score is code 255 where the recipe gives scores a range
    ('attention_scores'), else half of the codes are for either sign.
    """
    factor = scores.scale * (1 if natural else OCTAVE) * 2**fraction_bits
    scores_type = emission.builder.types[scores.name]
    zero_point = 128
    if not scores.accumulators:
        zero_point = LARGEST_CODE - math.ceil(max(scores_type.high, 0) * float(factor.max()))
        if zero_point < 0:
            raise FullintError(
                f"its scores reach {LARGEST_CODE - zero_point} steps of 2^-{fraction_bits}, more "
                f"than {LARGEST_CODE}; give its softmax fewer fraction_bits"
            )
    factors = fast_factors(
        factor,
        largest_input=max(-scores_type.low, scores_type.high, 1),
        largest_output=LARGEST_CODE,
    )
    return [scores.name, *emission.builder.add_factors(emission.name, factors)], zero_point


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
