"""Operations that are computed row by row in the row's order, by themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .comparison import assert_engine_equals_interpreter
from .programs import RANGES, ProgramBuilder
from .row_softmaxes import CODE_SOFTMAXES, ROW_SOFTMAXES, row_softmax_attributes

seeds = st.integers(0, 2**32 - 1)
types = st.sampled_from(sorted(RANGES))
examples = settings(max_examples=25)


@pytest.mark.parametrize("kind", ROW_SOFTMAXES)
@examples
@given(seeds, types, st.integers(1, 3), st.integers(1, 9), st.integers(1, 90), st.booleans())
def test_softmax_alone(kind, seed, score_type, heads, tokens, keys, per_row):
    builder = ProgramBuilder(seed)
    shape = (1, heads, tokens, keys)
    scores = builder.operand(shape, *RANGES[score_type])
    if keys > 2 and seed % 3 == 0:
        scores = builder.permute(builder.reshape(scores, (1, heads, keys, tokens)), (0, 1, 3, 2))
    factor_shape = (1, heads, tokens if per_row else 1, 1)
    span = 300 if kind in CODE_SOFTMAXES else 9000
    factors = builder.factors(factor_shape, RANGES[score_type][1], span)
    attributes = row_softmax_attributes(kind, builder.random)
    result = builder.add(kind, [scores, *factors], shape, **attributes)
    assert_engine_equals_interpreter(builder.finish(result))


@pytest.mark.parametrize("kind", ROW_SOFTMAXES)
@pytest.mark.parametrize("keys", [197, 577, 785])
@pytest.mark.parametrize("order", ["rising", "falling", "waves"])
def test_long_rows_in_order(kind, keys, order):
    """Scores that move a running maximum at every element, or at none after the first."""
    for seed in range(8):
        builder = ProgramBuilder(seed)
        ramp = np.arange(keys) * 20
        if order == "waves":
            ramp = (1000 * np.sin(np.arange(keys)) + 5 * np.arange(keys)).astype(np.int64)
        ramp = ramp[::-1] if order == "falling" else ramp
        shape = (1, 1, 3, keys)
        noise = builder.operand((1, 1, 3, keys), -15, 15)
        scores = builder.add("add", [noise, builder.constant(ramp.reshape(1, 1, 1, keys))], shape)
        factors = builder.factors((1, 1, 1, 1), 20 * keys, 250 if kind in CODE_SOFTMAXES else 9000)
        attributes = row_softmax_attributes(kind, builder.random)
        result = builder.add(kind, [scores, *factors], shape, **attributes)
        assert_engine_equals_interpreter(builder.finish(result))


@examples
@given(
    seeds,
    st.sampled_from([(0, 255), (-128, 127), (-255, 0), (-100, 155), (3, 5)]),
    st.sampled_from([(0, 255), (-128, 127), (-200, 55), (1000, 1255), (0, 15)]),
    st.sampled_from([1, 2, 3, 31, 64, 192, 513, 1000]),
    st.integers(1, 7),
    st.sampled_from([2, 3]),
)
def test_ailayernorm(seed, x_range, result_range, channels, tokens, ranges):
    builder = ProgramBuilder(seed)
    x = builder.operand((1, tokens, channels), *x_range)
    parameters = [
        builder.integers(0, 3, (channels,)),
        builder.integers(-127, 127, (channels,)),
        builder.integers(1 - 2**18, 2**18 - 1, (channels,)) >> int(builder.random.integers(0, 12)),
        np.full(channels, builder.random.integers(0, 16)),
    ]
    low, high = result_range
    result = builder.add(
        "ailayernorm",
        [x, *map(builder.constant, parameters)],
        (1, tokens, channels),
        zero_x=int(builder.random.integers(x_range[1] - 255, x_range[0] + 256)),
        epsilon=int(2 ** builder.random.uniform(4, 29.9)),
        ranges=ranges,
        zero_point=int(builder.random.integers(low, high + 1)),
        low=low,
        high=high,
    )
    assert_engine_equals_interpreter(builder.finish(result))


@examples
@given(
    seeds,
    st.sampled_from([(0, 255), (-128, 127), (-(2**15), 2**15 - 1), (7, 7)]),
    st.sampled_from(["uint8", "int8", "int16"]),
    st.sampled_from([1, 2, 3, 31, 64, 192, 513]),
    st.integers(1, 7),
)
def test_i_layernorm(seed, x_range, result_type, channels, tokens):
    builder = ProgramBuilder(seed)
    random = builder.random
    x = builder.operand((1, tokens, channels), *x_range)
    fraction_bits = int(random.integers(0, 6))
    room = 30 - fraction_bits - (channels * 2**17).bit_length()
    parameters = [
        builder.integers(0, max(min(room, 4), 0), (channels,)),
        builder.integers(-20_000, 20_000, (channels,)),
        builder.integers(-(2**22), 2**22, (channels,)),
        builder.integers(12, 18, (channels,)),
    ]
    low, high = RANGES[result_type]
    result = builder.add(
        "i_layernorm",
        [x, *map(builder.constant, parameters)],
        (1, tokens, channels),
        zero_x=int(random.integers(*x_range, endpoint=True)),
        epsilon=1 + seed % 10_000,
        fraction_bits=fraction_bits if room >= 0 else 0,
        start_bits=int(random.choice([0, 16])),
        iterations=int(random.integers(1, 11)),
        zero_point=seed % 130,
        low=low,
        high=high,
    )
    assert_engine_equals_interpreter(builder.finish(result))


def gelu_attributes(kind: str, random: np.random.Generator) -> dict[str, int]:
    if kind == "ibert_gelu":
        edge = int(random.choice([1, 100, 1811, 2**14]))
        return {
            "edge": edge,
            "unit": edge * edge // 2 + int(random.integers(1, 2**20)),
            "gate_shift": int(random.integers(15, 22)),
        }
    fraction_bits = int(random.integers(0, 8))
    return {
        "fraction_bits": fraction_bits,
        "octaves": int(random.integers(1, 15 - fraction_bits)),
        "natural": int(random.integers(2)),
        "rounding": int(random.integers(2)),
        "row_maximum": int(random.integers(2)),
        "gate_bits": int(random.integers(4, 16)),
    }


@pytest.mark.parametrize("kind", ["ibert_gelu", "shiftgelu"])
@settings(max_examples=40)
@given(
    seeds,
    st.sampled_from([(0, 255), (-128, 127), (-(2**14), 2**14), (9, 9)]),
    st.sampled_from(["uint8", "int8", "int16"]),
    st.sampled_from([1, 3, 64, 197, 768]),
    st.booleans(),
)
def test_gelu(kind, seed, x_range, result_type, columns, after_linear):
    """Alone, or fused with the linear layer before it where it is a table of bytes."""
    builder = ProgramBuilder(seed)
    random = builder.random
    low, high = x_range
    x = builder.operand((1, 3, columns), low, high)
    if after_linear:
        weight = builder.constant(builder.integers(-9, 9, (columns, columns)))
        bias = builder.constant(np.zeros(columns, int))
        x = builder.add("linear", [x, weight, bias], (1, 3, columns))
        grid = {"intermediate_bits": 16, "zero_point": low, "low": low, "high": high}
        x = builder.add(
            "requantize", [x, *builder.factors((1,), 2**17, 2**7)], (1, 3, columns), **grid
        )
    zero_x = int(random.integers(low, high + 1))
    attributes = gelu_attributes(kind, random)
    largest_gate = 2**15
    if kind == "ibert_gelu":
        largest_gate = 2 * attributes["unit"] >> attributes["gate_shift"]
    factors = [
        *builder.factors((1,), high - low, 9000 if kind == "shiftgelu" else 2000),
        *builder.factors((1,), (high - low) * max(largest_gate, 1), 300),
    ]
    result_low, result_high = RANGES[result_type]
    result = builder.add(
        kind,
        [x, *factors],
        (1, 3, columns),
        zero_x=zero_x,
        zero_point=int(random.integers(result_low, result_high + 1)),
        low=result_low,
        high=result_high,
        **attributes,
    )
    assert_engine_equals_interpreter(builder.finish(result))


@examples
@given(
    seeds,
    st.sampled_from([(0, 4095), (-(2**15), 2**15 - 1), (-300, -40), (0, 255), (-128, 127)]),
    st.sampled_from(["uint8", "int8", "int16", "int20"]),
    st.integers(0, 900),
    st.sampled_from([1, 15, 16, 31, 33, 197]),
)
def test_lookup_in_long_tables(seed, x_range, result_type, unused, columns):
    """Every entry that a code can reach, and some before and after."""
    builder = ProgramBuilder(seed)
    low, high = x_range
    x = builder.operand((1, 7, columns), low, high)
    entries = high - low + 1 + 2 * unused
    table = builder.integers(*RANGES[result_type], (entries,))
    result = builder.add(
        "lookup", [x, builder.constant(table)], (1, 7, columns), offset=low - unused
    )
    assert_engine_equals_interpreter(builder.finish(result))
