"""Operands of 16 bits: levels of non-uniform activations and attention maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .comparison import assert_engine_equals_interpreter
from .programs import ProgramBuilder
from .test_attention import build_attention, seeds


@pytest.mark.parametrize(("depth", "largest"), [(768, 2**15), (3072, 2**12), (64, 2**15)])
@pytest.mark.parametrize("weights", [(-128, 127), (-15, 15), (-8, 7)])
@pytest.mark.parametrize("adds", [False, True])
def test_linear_of_words(depth, largest, weights, adds):
    """Levels of 16 bits times small weights, as non-uniform activations have them."""
    builder = ProgramBuilder(depth)
    rows, width = 83, 50
    result = (1, rows, width)
    few = builder.operand((1, 8, depth), -largest, largest - 1)
    x = builder.add("concat", [few] * 11, (1, 88, depth), dim=1)
    x = builder.add("slice", [x], (1, rows, depth), dim=1, start=0, stop=rows)
    weight = builder.integers(*weights, (width, depth))
    weight[0], weight[1] = weights  # sums that only just fit
    bound = largest * np.abs(weight).sum(1).max()
    weight = weight if bound < 2**31 - 1000 else weight // 2
    bias = builder.integers(-900, 900, (width,))
    x = builder.add("linear", [x, builder.constant(weight), builder.constant(bias)], result)
    if adds:
        factors = builder.factors((width,), min(bound, 2**31 - 1), 2**15)
        limits = {"low": -(2**15), "high": 2**15 - 1, "zero_point": 0}
        x = builder.add("requantize", [x, *factors], result, intermediate_bits=16, **limits)
        one, none = builder.constant(np.array([1])), builder.constant(np.array([0]))
        other = builder.operand((1, 1, width), -(2**15), 2**15 - 1)
        inputs = [x, builder.add("concat", [other] * rows, result, dim=1), one, one, none]
        x = builder.add("rescaled_add", inputs, result, zero_a=0, zero_b=0, **limits)
    assert_engine_equals_interpreter(builder.finish(x))


@settings(max_examples=25)
@given(
    seeds,
    st.sampled_from([(0, 255), (0, 1), (0, 2**15 - 1), (-5, 2**14), (-(2**14), -1), (0, 70_000)]),
    st.sampled_from([1, 7, 33, 65]),
    st.sampled_from(["uint8", "int8"]),
    st.booleans(),
    st.booleans(),
)
def test_tables_of_any_levels(seed, level_range, tokens, codes, requantizes_scores, per_head):
    """Bytes, words, and levels that only the unfused steps take."""
    builder, output = build_attention(
        seed,
        kind="table_softmax",
        codes=codes,
        windows=2,
        heads=3,
        tokens=tokens,
        depth=16,
        addends=seed % 3,
        requantizes_scores=requantizes_scores,
        requantizes=False,
        per_head=per_head,
        level_range=level_range,
    )
    assert_engine_equals_interpreter(builder.finish(output), images=2)
