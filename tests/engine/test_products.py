"""Matrix products on random shapes, types and extremes, with and without what they fuse with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from .programs import RANGES, ProgramBuilder
from .strategies import (
    bytes_types,
    check,
    depths,
    examples,
    limits_of,
    parameter_shape,
    seeds,
    small_sizes,
    small_types,
    types,
)


@examples
@given(
    seeds,
    small_types,
    st.sampled_from(["weight4", "weight8", "weight16"]),
    depths,
    depths,
    st.integers(1, 40),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["scalar", "column", "any"]),
)
def test_linear_and_what_follows_it(
    seed, kind, weights, depth, width, rows, requantizes, looks_up, adds, choice
):
    builder = ProgramBuilder(seed)
    shape = (1, rows, depth)
    x = builder.operand(shape, *RANGES[kind])
    limit = {"weight4": 8, "weight8": 128, "weight16": 1000}[weights]
    bias_limit = 10 if kind == "int16" and weights == "weight16" else 2**15
    weight = builder.constant(builder.integers(-limit, limit - 1, (width, depth)))
    bias = builder.constant(builder.integers(-bias_limit, bias_limit, (width,)))
    x = builder.add("linear", [x, weight, bias], (1, rows, width))
    if requantizes:
        result = "uint8" if looks_up else ["uint8", "int8", "int16"][seed % 3]
        factors = builder.factors(
            parameter_shape(builder, (1, rows, width), choice), depth * limit * 100, 200
        )
        x = builder.add(
            "requantize",
            [x, *factors],
            (1, rows, width),
            intermediate_bits=16,
            zero_point=100,
            **limits_of(result),
        )
    if requantizes and looks_up:
        table = builder.constant(builder.integers(*RANGES[["uint8", "int8"][seed % 2]], (256,)))
        x = builder.add("lookup", [x, table], (1, rows, width), offset=0)
    if requantizes and adds:
        other = builder.operand((1, rows, width), *RANGES["int16"])
        operands = [x, other] if seed % 2 else [other, x]
        multipliers = [builder.constant(builder.integers(1, 900, (width,))) for _ in range(2)]
        shift = builder.constant(builder.integers(0, 9, (width,)))
        x = builder.add(
            "rescaled_add",
            [*operands, *multipliers, shift],
            (1, rows, width),
            zero_a=3,
            zero_b=-9,
            zero_point=5,
            **limits_of("int16"),
        )
    check(builder, x)


@examples
@given(
    seeds,
    bytes_types,
    types,
    small_sizes,
    small_sizes,
    st.integers(1, 70),
    st.integers(1, 70),
    st.booleans(),
)
def test_matmul(seed, kind_a, kind_b, matrices, height, depth, width, transposed):
    builder = ProgramBuilder(seed)
    a = builder.operand((1, matrices, height, depth), *RANGES[kind_a])
    if transposed:
        b = builder.operand((1, matrices, width, depth), *RANGES[kind_b])
        b = builder.permute(b, (0, 1, 3, 2))
    else:
        b = builder.operand((1, matrices, depth, width), *RANGES[kind_b])
    result = (1, matrices, height, width)
    check(builder, builder.add("matmul", [a, b], result, zero_a=seed % 7, zero_b=-(seed % 5)))


@examples
@given(seeds, types, small_sizes, st.integers(1, 9), st.integers(1, 70), st.integers(1, 30))
def test_shift_matmul_alone(seed, kind, matrices, height, depth, width):
    builder = ProgramBuilder(seed)
    codes = builder.operand((1, matrices, height, depth), 0, 15)
    b = builder.operand((1, matrices, depth, width), *RANGES["int8" if depth > 1 else kind])
    result = (1, matrices, height, width)
    check(builder, builder.add("shift_matmul", [codes, b], result, zero_b=seed % 9))


@examples
@given(seeds, bytes_types, small_sizes, st.integers(1, 9), st.integers(1, 70), st.integers(1, 30))
def test_weighted_average_alone(seed, kind, matrices, height, depth, width):
    builder = ProgramBuilder(seed)
    p = builder.operand((1, matrices, height, depth), 0, 255)
    v = builder.operand((1, matrices, depth, width), *RANGES[kind])
    check(
        builder,
        builder.add(
            "weighted_average",
            [p, v],
            (1, matrices, height, width),
            zero_v=128 if kind == "uint8" else 0,
            value_bits=7,
            fraction_bits=seed % 8,
        ),
    )
