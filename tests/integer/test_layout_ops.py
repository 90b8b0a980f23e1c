"""Operations that move elements: concat, permute, reshape, roll, slice; and sum."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullint.errors import FullintError

from .oracles import assert_in_range, compute, constant, in_int32, infer, tensor

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
IMAGES = 3


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    """A batch whose elements are all different."""
    return np.arange(IMAGES * math.prod(shape)).reshape(IMAGES, *shape)


def positions(shape: tuple[int, ...]) -> itertools.product:
    return itertools.product(range(IMAGES), *(range(size) for size in shape))


@given(shapes.flatmap(lambda shape: st.tuples(st.just(shape), st.permutations(range(len(shape))))))
def test_permute(case):
    shape, dims = case[0], tuple(case[1])
    x = numbered(shape)
    type_ = infer("permute", tensor(shape, 0, x.max()), dims=dims)
    result = compute("permute", x, dims=dims)
    assert_in_range(result, type_)
    for image, *index in positions(type_.shape):
        source = [0] * len(shape)
        for position, dim in zip(index, dims, strict=True):
            source[dim] = position
        assert result[(image, *index)] == x[(image, *source)]


@pytest.mark.parametrize("dims", [(0,), (0, 0), (0, 2), (-1, 0), (0, 1, 2), ()])
def test_permute_refuses(dims):
    with pytest.raises(FullintError, match="does not reorder"):
        infer("permute", tensor((2, 3), 0, 1), dims=dims)


@given(shapes, st.randoms())
def test_reshape_keeps_the_order_within_each_image(shape, random):
    size = math.prod(shape)
    rows = random.choice([n for n in range(1, size + 1) if size % n == 0])
    x = numbered(shape)
    target = (rows, size // rows)
    type_ = infer("reshape", tensor(shape, -5, 9), shape=target)
    assert (type_.shape, type_.low, type_.high) == (target, -5, 9)
    result = compute("reshape", x, shape=target)
    assert result.shape == (IMAGES, *target)
    assert (result.reshape(IMAGES, -1) == x.reshape(IMAGES, -1)).all()


@pytest.mark.parametrize("shape", [(5,), (-1, -6), (-1,), (0,), (6, 1, 2), ()])
def test_reshape_refuses(shape):
    with pytest.raises(FullintError):
        infer("reshape", tensor((2, 3), 0, 1), shape=shape)


@given(
    shapes.flatmap(
        lambda shape: st.tuples(
            st.just(shape),
            st.lists(
                st.tuples(st.integers(0, len(shape) - 1), st.integers(-5, 5)),
                min_size=1,
                max_size=3,
                unique_by=lambda pair: pair[0],
            ),
        )
    )
)
def test_roll(case):
    shape, moves = case
    dims, shifts = (tuple(part) for part in zip(*moves, strict=True))
    x = numbered(shape)
    type_ = infer("roll", tensor(shape, 0, x.max()), shifts=shifts, dims=dims)
    result = compute("roll", x, shifts=shifts, dims=dims)
    assert_in_range(result, type_)
    for image, *index in positions(shape):
        target = list(index)
        for dim, shift in moves:
            target[dim] = (index[dim] + shift) % shape[dim]
        assert result[(image, *target)] == x[(image, *index)]


@pytest.mark.parametrize(
    ("shifts", "dims"), [((1,), (2,)), ((1,), (-1,)), ((1, 1), (0,)), ((1,), ())]
)
def test_roll_refuses(shifts, dims):
    with pytest.raises(FullintError, match="cannot roll"):
        infer("roll", tensor((2, 3), 0, 1), shifts=shifts, dims=dims)


@given(shapes, st.data())
def test_slice(shape, data):
    dim = data.draw(st.integers(0, len(shape) - 1))
    start = data.draw(st.integers(0, shape[dim] - 1))
    stop = data.draw(st.integers(start + 1, shape[dim]))
    x = numbered(shape)
    type_ = infer("slice", tensor(shape, 0, x.max()), dim=dim, start=start, stop=stop)
    result = compute("slice", x, dim=dim, start=start, stop=stop)
    assert_in_range(result, type_)
    for image, *index in positions(type_.shape):
        source = list(index)
        source[dim] += start
        assert result[(image, *index)] == x[(image, *source)]


@pytest.mark.parametrize(
    ("dim", "start", "stop"), [(2, 0, 1), (-1, 0, 1), (0, 1, 1), (0, -1, 1), (0, 0, 3), (0, 2, 1)]
)
def test_slice_refuses(dim, start, stop):
    with pytest.raises(FullintError, match="cannot take"):
        infer("slice", tensor((2, 3), 0, 1), dim=dim, start=start, stop=stop)


@given(shapes, st.data())
def test_concat_of_computed_and_constant_tensors(shape, data):
    dim = data.draw(st.integers(0, len(shape) - 1))
    parts, operands = [], []
    for number in range(data.draw(st.integers(1, 4))):
        part_shape = (*shape[:dim], data.draw(st.integers(1, 3)), *shape[dim + 1 :])
        values = numbered(part_shape) + 1000 * number
        # A constant first, as the class token is, unless it is alone.
        is_constant = data.draw(st.booleans())
        parts.append(values[0] if is_constant else values)
        operands.append(
            constant(values[0])
            if is_constant
            else tensor(part_shape, int(values.min()), int(values.max()))
        )
    if all(operand.constant is not None for operand in operands):
        return  # a program refuses it, see test_program
    type_ = infer("concat", *operands, dim=dim)
    result = compute("concat", *parts, dim=dim)
    assert_in_range(result, type_)
    for image in range(IMAGES):
        start = 0
        for part, operand in zip(parts, operands, strict=True):
            size = operand.shape[dim]
            values = part if operand.constant is not None else part[image]
            taken = np.take(result[image], range(start, start + size), axis=dim)
            assert (taken == values).all()
            start += size
        assert start == type_.shape[dim]


def test_concat_range_and_refusals():
    type_ = infer("concat", tensor((2, 3), -7, 1), tensor((1, 3), 0, 9), dim=0)
    assert (type_.shape, type_.low, type_.high) == ((3, 3), -7, 9)
    for a, b, dim in (
        ((2, 3), (2, 2), 0),
        ((2, 3), (3,), 0),
        ((2, 3), (2, 3), 2),
        ((2,), (2,), -1),
    ):
        with pytest.raises(FullintError, match="cannot join"):
            infer("concat", tensor(a, 0, 1), tensor(b, 0, 1), dim=dim)


@given(shapes, st.integers(-300, 300), st.integers(0, 300), st.integers(-300, 300), st.data())
def test_sum(shape, low, span, zero_point, data):
    dims = tuple(
        data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=2, unique=True))
    )
    x = np.random.default_rng(0).integers(low, low + span, (IMAGES, *shape), endpoint=True)
    x[0], x[1] = low, low + span
    type_ = infer("sum", tensor(shape, low, low + span), dims=dims, zero_point=zero_point)
    result = compute("sum", x, dims=dims, zero_point=zero_point)
    assert_in_range(result, type_)
    kept = [dim for dim in range(len(shape)) if dim not in dims]
    totals: dict[tuple[int, ...], int] = {}
    for image, *index in positions(shape):
        key = (image, *(index[dim] for dim in kept))
        term = int(x[(image, *index)]) - zero_point
        totals[key] = in_int32(totals.get(key, 0) + term)
    assert all(result[key] == total for key, total in totals.items())
    assert result.size == len(totals)
    # Both ends are reached.
    assert result[0].flat[0] == type_.low and result[1].flat[0] == type_.high


@pytest.mark.parametrize("dims", [(), (2,), (-1,), (0, 0)])
def test_sum_refuses(dims):
    with pytest.raises(FullintError, match="cannot sum"):
        infer("sum", tensor((2, 3), 0, 1), dims=dims, zero_point=0)
    with pytest.raises(FullintError, match="32-bit"):
        infer("sum", tensor((2**15, 2**16), 0, 1), dims=(0, 1), zero_point=0)


def test_moving_an_attention_map_drops_the_bound_on_its_rows():
    """A part or a transpose of a map has other rows, so the bound must not travel with it."""
    map_ = tensor((4, 4), 0, 255, row_sum=257)
    assert infer("permute", map_, dims=(1, 0)).row_sum is None
    assert infer("reshape", map_, shape=(2, 8)).row_sum is None
    assert infer("concat", map_, map_, dim=1).row_sum is None
    assert infer("add", map_, map_).row_sum is None
