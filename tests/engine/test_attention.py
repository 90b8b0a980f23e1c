"""Attention as models contain it, in all its forms: the pattern the engine fuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullint.engine import Engine

from .comparison import assert_engine_equals_interpreter
from .programs import RANGES, ProgramBuilder
from .row_softmaxes import CODE_SOFTMAXES, ROW_SOFTMAXES, gives_powers, row_softmax_attributes

seeds = st.integers(0, 2**32 - 1)
KINDS = ["exponentials", "softmax", "log2_softmax", "table_softmax", *ROW_SOFTMAXES]


def build_attention(
    seed: int,
    *,
    kind: str,
    codes: str,
    windows: int,
    heads: int,
    tokens: int,
    depth: int,
    addends: int,
    requantizes_scores: bool,
    requantizes: bool,
    per_head: bool,
    level_range: tuple[int, int] = (0, 2**14),
) -> tuple[ProgramBuilder, str]:
    """Queries, keys and values side by side, to heads, to attention, back to rows."""
    builder = ProgramBuilder(seed)
    low, high = RANGES[codes]
    zero = 128 if codes == "uint8" else 0
    width = heads * depth
    qkv = builder.operand((windows, tokens, 3 * width), low, high)

    def part(index: int, dims: tuple[int, ...]) -> str:
        x = builder.add(
            "slice",
            [qkv],
            (windows, tokens, width),
            dim=2,
            start=index * width,
            stop=(index + 1) * width,
        )
        return builder.permute(builder.reshape(x, (windows, tokens, heads, depth)), dims)

    shape = (windows, heads, tokens, tokens)
    factor_shape = (1, heads, 1, 1) if per_head else (1, 1, 1, 1)
    scores = builder.add(
        "matmul", [part(0, (0, 2, 1, 3)), part(1, (0, 2, 3, 1))], shape, zero_a=zero, zero_b=zero
    )
    if addends > 0:
        bias = builder.constant(builder.integers(-3000, 3000, (1, heads, tokens, tokens)))
        scores = builder.add("add", [scores, bias], shape)
    if addends > 1:
        mask = builder.constant(builder.integers(-(2**24), 0, (1, windows, 1, tokens, tokens)))
        scores = builder.reshape(scores, (1, *shape))
        scores = builder.reshape(builder.add("add", [scores, mask], (1, *shape)), shape)
    largest = depth * 128 * 128
    if requantizes_scores:
        factors = builder.factors(factor_shape, largest, 128)
        scores = builder.add(
            "requantize",
            [scores, *factors],
            shape,
            intermediate_bits=16,
            zero_point=120,
            low=0,
            high=255,
        )
        largest = 255
    attributes: dict[str, object] = {"rounding": seed % 1024} if kind == "log2_softmax" else {}
    span = 200 if kind in CODE_SOFTMAXES else 9000
    inputs = [scores, *builder.factors(factor_shape, largest, span)]
    if kind in ROW_SOFTMAXES:
        attributes = row_softmax_attributes(kind, builder.random)
    if kind == "table_softmax":
        tables = heads if per_head else 1
        entries = int(builder.random.choice([1, 100, 16 * 1024, 49_152]))
        inputs.append(builder.constant(builder.integers(*level_range, (tables, entries))))
    p = builder.add(kind, inputs, shape, **attributes)
    v, result = part(2, (0, 2, 1, 3)), (windows, heads, tokens, depth)
    if kind == "exponentials":
        out = builder.add(
            "weighted_average", [p, v], result, zero_v=zero, value_bits=7, fraction_bits=7
        )
        largest = 2**14
    elif kind == "log2_softmax" or gives_powers(attributes):
        out, largest = builder.add("shift_matmul", [p, v], result, zero_b=zero), 2**22
    else:
        out, largest = builder.add("matmul", [p, v], result, zero_a=0, zero_b=zero), 2**15
        if kind == "table_softmax":
            largest = 128 * tokens * max(level_range)
        elif kind in ROW_SOFTMAXES:
            largest = 2**22
    if requantizes:
        out = builder.add(
            "requantize",
            [out, *builder.factors(factor_shape, largest, 200)],
            result,
            intermediate_bits=16,
            zero_point=110,
            low=0,
            high=255,
        )
    out = builder.permute(out, (0, 2, 1, 3))
    return builder, builder.reshape(out, (windows, tokens, width))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(
    seeds,
    st.fixed_dictionaries(
        {
            "codes": st.sampled_from(["uint8", "int8"]),
            "windows": st.sampled_from([1, 2, 20]),
            "heads": st.integers(1, 3),
            "tokens": st.sampled_from([1, 2, 15, 16, 17, 31, 33, 49, 65]),
            "depth": st.sampled_from([1, 12, 16, 32, 33, 64, 70]),
            "addends": st.integers(0, 2),
            "requantizes_scores": st.booleans(),
            "requantizes": st.booleans(),
            "per_head": st.booleans(),
        }
    ),
)
def test_attention(kind, seed, parameters):
    builder, output = build_attention(seed, kind=kind, **parameters)
    assert_engine_equals_interpreter(builder.finish(output), images=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [197, 577])
def test_long_rows(kind, tokens):
    builder, output = build_attention(
        3,
        kind=kind,
        codes="int8",
        windows=1,
        heads=2,
        tokens=tokens,
        depth=64,
        addends=0,
        requantizes_scores=False,
        requantizes=True,
        per_head=True,
    )
    assert_engine_equals_interpreter(builder.finish(output), images=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("windows", [1, 30])
def test_attention_becomes_one_step(kind, windows):
    """No scores in memory, and the heads' outputs written side by side without a copy."""
    builder, output = build_attention(
        0,
        kind=kind,
        codes="int8",
        windows=windows,
        heads=2,
        tokens=16,
        depth=8,
        addends=2,
        requantizes_scores=False,
        requantizes=True,
        per_head=True,
    )
    engine = Engine(builder.finish(output), threads=1)
    kinds = {step.kind for step in engine.profile(np.zeros((1, *engine.input_shape), np.uint8))}
    assert kinds <= {"lookup", "attention", "attention packing"}


@pytest.mark.parametrize(
    "factor", [(0, 2**14, 14), (0, 20_001, 14), (0, 2**15 - 1, 15), (3, 9_999, 12)]
)
def test_every_distance(factor):
    """Scores given by an addend alone: eight distances a row, so that no code hides among many."""
    heads, tokens, depth, few = 6, 225, 16, 8
    builder = ProgramBuilder(0)
    shape = (1, heads, tokens, tokens)
    query = builder.operand((1, heads, tokens, depth), 0, 1)
    zeros = builder.add(
        "lookup", [query, builder.constant([0, 0, 1])], builder.shapes[query], offset=0
    )
    key = builder.permute(builder.operand((1, heads, tokens, depth), -9, 9), (0, 1, 3, 2))
    scores = builder.add("matmul", [zeros, key], shape, zero_a=0, zero_b=0)
    addend = np.full((1, heads, tokens, tokens), -(2**24))
    addend[..., 0] = 0
    distances = np.arange(heads * tokens * few).reshape(1, heads, tokens, few) << factor[0]
    columns = builder.random.permutation(tokens - 1)[:few] + 1
    addend[..., columns] = -distances
    scores = builder.add("add", [scores, builder.constant(addend)], shape)
    factors = [builder.constant(np.full((1, heads, 1, 1), part)) for part in factor]
    p = builder.add("exponentials", [scores, *factors], shape)
    value = builder.operand((1, heads, tokens, depth), -128, 127)
    attributes = {"zero_v": 0, "value_bits": 7, "fraction_bits": 7}
    out = builder.add("weighted_average", [p, value], (1, heads, tokens, depth), **attributes)
    assert_engine_equals_interpreter(builder.finish(out), images=2)
