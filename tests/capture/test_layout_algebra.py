"""A chain of reshapes and permutes against torch, for random chains."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from fullint.capture.layout_algebra import Layout

Chain = list[tuple[str, tuple[int, ...]]]


@st.composite
def shapes_of(draw: st.DrawFn, count: int) -> tuple[int, ...]:
    """A shape with `count` elements, ones included."""
    shape = []
    while count > 1 and len(shape) < 4:
        size = draw(st.sampled_from([d for d in range(1, count + 1) if count % d == 0]))
        shape.append(size)
        count //= size
    return (*shape, count)


@st.composite
def chains(draw: st.DrawFn) -> tuple[tuple[int, ...], Chain]:
    shape = source = draw(
        st.lists(st.sampled_from([1, 2, 3, 4, 5]), min_size=1, max_size=4).map(tuple)
    )
    chain: Chain = []
    for _ in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            dims = tuple(draw(st.permutations(range(len(shape)))))
            chain.append(("permute", dims))
            shape = tuple(shape[dim] for dim in dims)
        else:
            shape = draw(shapes_of(math.prod(shape)))
            chain.append(("reshape", shape))
    return source, chain


def run(x: torch.Tensor, chain: Any) -> torch.Tensor:
    for kind, argument in chain:
        x = x.permute(argument) if kind == "permute" else x.reshape(argument)
    return x


def layout_of(source: tuple[int, ...], chain: Chain) -> Layout | None:
    layout = Layout(source)
    for kind, argument in chain:
        if kind == "permute":
            layout.permute(argument)
        elif not layout.reshape(argument):
            return None
    return layout


@given(chains())
def test_the_short_chain_does_the_same(case: tuple[tuple[int, ...], Chain]) -> None:
    source, chain = case
    layout = layout_of(source, chain)
    if layout is None:
        return
    x = torch.arange(math.prod(source)).reshape(source)
    steps = layout.steps()
    assert len(steps) <= 3
    assert torch.equal(run(x, steps), run(x, chain))
    assert layout.source_shape == source
    assert layout.result_shape == tuple(run(x, chain).shape)


@given(chains(), st.data())
def test_a_slice_taken_from_the_source(
    case: tuple[tuple[int, ...], Chain], data: st.DataObject
) -> None:
    source, chain = case
    layout = layout_of(source, chain)
    if layout is None:
        return
    x = torch.arange(math.prod(source)).reshape(source)
    result = run(x, chain)
    dim = data.draw(st.integers(0, result.dim() - 1))
    start = data.draw(st.integers(0, result.shape[dim] - 1))
    stop = data.draw(st.integers(start + 1, result.shape[dim]))
    cut = layout.cut(dim, start, stop)
    if cut is not None:
        axis, first, last = cut
        part = x.narrow(axis, first, last - first)
        assert torch.equal(run(part, layout.steps()), result.narrow(dim, start, stop - start))


def test_a_reshape_across_an_axis_is_left_alone() -> None:
    layout = Layout((4, 3))
    layout.permute((1, 0))
    assert not layout.reshape((2, 6))
    assert layout.steps() == [("permute", (1, 0))]


def test_opposite_permutes_vanish() -> None:
    layout = Layout((7, 3, 4, 5))
    layout.permute((0, 3, 1, 2))
    layout.permute((0, 2, 3, 1))
    assert layout.steps() == []


def test_a_permute_that_keeps_rows_together_is_a_reshape() -> None:
    layout = Layout((7, 4, 5, 6))
    layout.permute((0, 3, 1, 2))
    assert layout.reshape((7, 6, 20))
    layout.permute((0, 2, 1))
    assert layout.steps() == [("reshape", (7, 20, 6))]


def test_the_key_out_of_qkv() -> None:
    layout = Layout((7, 10, 48))
    assert layout.reshape((7, 10, 3, 2, 8))
    layout.permute((2, 0, 3, 1, 4))
    assert layout.cut(0, 1, 2) == (2, 16, 32)
    assert layout.reshape((7, 2, 10, 8))
    assert layout.steps() == [("reshape", (7, 10, 2, 8)), ("permute", (0, 2, 1, 3))]
