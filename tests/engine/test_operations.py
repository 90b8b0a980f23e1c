"""Every operation but the products on random shapes, types and extremes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .programs import RANGES, ProgramBuilder, Shape
from .strategies import (
    check,
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
    types,
    types,
    st.lists(small_sizes, min_size=1, max_size=4),
    st.sampled_from(["scalar", "column", "any"]),
    st.sampled_from([16, 32]),
)
def test_requantize(seed, kind, result, shape, choice, bits):
    builder = ProgramBuilder(seed)
    x = builder.operand(tuple(shape), *RANGES[kind])
    factors = builder.factors(
        parameter_shape(builder, tuple(shape), choice), RANGES[kind][1], RANGES[result][1], bits
    )
    check(
        builder,
        builder.add(
            "requantize",
            [x, *factors],
            tuple(shape),
            intermediate_bits=bits,
            zero_point=seed % 300,
            **limits_of(result),
        ),
    )


@examples
@given(
    seeds,
    small_types,
    small_types,
    small_types,
    st.lists(small_sizes, min_size=1, max_size=4),
    st.sampled_from(["scalar", "column", "any"]),
    st.booleans(),
    st.booleans(),
)
def test_rescaled_add(seed, kind_a, kind_b, result, shape, choice, broadcasts, is_simple):
    builder = ProgramBuilder(seed)
    shape = tuple(shape)
    a = builder.operand(shape, *RANGES[kind_a])
    b_shape = parameter_shape(builder, shape, "any") if broadcasts else shape
    b = builder.operand(b_shape, *RANGES[kind_b])
    high = 1 if is_simple else 20_000
    parameters = [
        builder.integers(
            -high if not is_simple else 1, high, parameter_shape(builder, shape, choice)
        )
        for _ in range(2)
    ]
    shift = builder.integers(0, 0 if is_simple else 18, parameter_shape(builder, shape, choice))
    inputs = [a, b, *(builder.constant(values) for values in (*parameters, shift))]
    check(
        builder,
        builder.add(
            "rescaled_add",
            inputs,
            shape,
            zero_a=seed % 200,
            zero_b=-3,
            zero_point=seed % 100,
            **limits_of(result),
        ),
    )


@examples
@given(seeds, types, types, st.lists(small_sizes, min_size=1, max_size=4), st.booleans())
def test_add(seed, kind_a, kind_b, shape, constant):
    builder = ProgramBuilder(seed)
    shape = tuple(shape)
    a = builder.operand(shape, *RANGES[kind_a])
    b_shape = parameter_shape(builder, shape, "any")
    if constant:
        b = builder.constant(builder.integers(*RANGES[kind_b], b_shape))
    else:
        b = builder.operand(b_shape, *RANGES[kind_b])
    check(builder, builder.add("add", [a, b], shape))


@examples
@given(seeds, small_types, types, st.integers(0, 9), st.integers(1, 80))
def test_lookup(seed, kind, result, offset, size):
    builder = ProgramBuilder(seed)
    low, _ = RANGES[kind]
    x = builder.operand((1, 3, size), low + offset, low + 200)
    table = builder.constant(builder.integers(*RANGES[result], (230,)))
    check(builder, builder.add("lookup", [x, table], (1, 3, size), offset=low))


@examples
@given(
    seeds,
    st.sampled_from(["uint8", "int8", "int16"]),
    small_types,
    st.integers(1, 300),
    st.integers(1, 40),
    st.integers(0, 3),
)
def test_layer_norm(seed, kind, result, channels, tokens, largest_shift):
    builder = ProgramBuilder(seed)
    x = builder.operand((1, tokens, channels), *RANGES[kind])
    parameters = [
        builder.integers(0, largest_shift, (channels,)),
        builder.integers(-20_000, 20_000, (channels,)),
        builder.integers(-(2**22), 2**22, (channels,)),
        builder.integers(12, 18, (channels,)),
    ]
    check(
        builder,
        builder.add(
            "layer_norm",
            [x, *map(builder.constant, parameters)],
            (1, tokens, channels),
            zero_x=seed % 120,
            epsilon=1 + seed % 10_000,
            zero_point=seed % 130,
            **limits_of(result),
        ),
    )


@examples
@given(seeds, types, st.lists(small_sizes, min_size=2, max_size=4), st.data())
def test_sum(seed, kind, shape, data):
    builder = ProgramBuilder(seed)
    axes = st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True)
    dims = tuple(data.draw(axes))
    x = builder.operand(tuple(shape), *RANGES[kind])
    result = tuple(size for axis, size in enumerate(shape) if axis not in dims)
    check(builder, builder.add("sum", [x], result, dims=dims, zero_point=seed % 50))


@pytest.mark.parametrize("kind", ["exponentials", "softmax", "log2_softmax"])
@examples
@given(seeds, types, small_sizes, st.integers(1, 9), st.integers(1, 90), st.booleans())
def test_softmax_alone(kind, seed, score_type, heads, tokens, keys, per_row):
    builder = ProgramBuilder(seed)
    shape = (1, heads, tokens, keys)
    scores = builder.operand(shape, *RANGES[score_type])
    factor_shape = (1, heads, tokens if per_row else 1, 1)
    factors = builder.factors(factor_shape, RANGES[score_type][1], 9000)
    attributes = {"rounding": seed % 1024} if kind == "log2_softmax" else {}
    check(builder, builder.add(kind, [scores, *factors], shape, **attributes))


@examples
@given(seeds, types, st.data())
def test_chains_of_layout_operations(seed, kind, data):
    """Views of views: whatever the planner cannot say with strides, it must copy."""
    builder = ProgramBuilder(seed)
    x = builder.operand((2, 3, 4, 6), *RANGES[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        shape = builder.shapes[x]
        axis = data.draw(st.integers(0, len(shape) - 1))
        choice = data.draw(
            st.sampled_from(["permute", "reshape", "slice", "roll", "concat", "add"])
        )
        if choice == "permute":
            x = builder.permute(x, tuple(data.draw(st.permutations(range(len(shape))))))
        elif choice == "reshape":
            x = builder.reshape(x, random_shape(data, int(np.prod(shape))))
        elif choice == "slice":
            start = data.draw(st.integers(0, shape[axis] - 1))
            stop = data.draw(st.integers(start + 1, shape[axis]))
            result = (*shape[:axis], stop - start, *shape[axis + 1 :])
            x = builder.add("slice", [x], result, dim=axis, start=start, stop=stop)
        elif choice == "roll":
            shifts = data.draw(st.tuples(st.integers(-9, 9), st.integers(-9, 9)))
            other = data.draw(st.integers(0, len(shape) - 1))
            x = builder.add("roll", [x], shape, shifts=shifts, dims=(axis, other))
        elif choice == "concat":
            constant = builder.constant(builder.integers(-9, 9, shape))
            parts = data.draw(st.permutations([x, constant, x][: data.draw(st.integers(2, 3))]))
            result = (*shape[:axis], shape[axis] * len(parts), *shape[axis + 1 :])
            x = builder.add("concat", list(parts), result, dim=axis)
        else:
            x = builder.add("add", [x, builder.constant(builder.integers(-3, 3, shape))], shape)
    check(builder, x)


def random_shape(data: st.DataObject, size: int) -> Shape:
    shape = []
    while size > 1 and len(shape) < 4:
        factor = data.draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
        shape.append(factor)
        size //= factor
    return (*shape, size)
