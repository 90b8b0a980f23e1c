"""Operators that take a part of a tensor: they become slice and reshape."""

from __future__ import annotations

from collections.abc import Sequence

from fullint.capture.builder import Builder, Value
from fullint.capture.rewrites.registry import rewrites
from fullint.capture.shapes import shape_of


@rewrites("aten.slice.Tensor")
def slice_(
    build: Builder,
    x: Value,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Value:
    """Entries start, start + step, ... before end; bounds are clamped as Python clamps them."""
    shape = shape_of(x)
    dim %= len(shape)
    first, stop, step = slice(start, end, step).indices(shape[dim])
    return (
        build.slice(x, dim, first, stop) if step == 1 else _every(build, x, dim, first, stop, step)
    )


def _every(build: Builder, x: Value, dim: int, first: int, stop: int, step: int) -> Value:
    """Every step-th entry (some Swin's patch merging), that is one entry of each `step`."""
    shape = shape_of(x)
    build.keep_batch_whole(x, [dim])
    groups = shape[dim] // step
    if groups * step != shape[dim] or len(range(first, stop, step)) != groups:
        raise build.refusal(
            f"it takes every {step}th of {shape[dim]} entries from {first} to {stop}, "
            f"which is not one of each group of {step}"
        )
    grouped = build.reshape(x, (*shape[:dim], groups, step, *shape[dim + 1 :]))
    chosen = build.slice(grouped, dim + 1, first, first + 1)
    return build.reshape(chosen, (*shape[:dim], groups, *shape[dim + 1 :]))


@rewrites("aten.narrow.default")
def narrow(build: Builder, x: Value, dim: int, start: int, length: int) -> Value:
    """`length` entries from `start`."""
    return build.slice(x, dim % len(shape_of(x)), start, start + length)


@rewrites("aten.select.int")
def select(build: Builder, x: Value, dim: int, index: int) -> Value:
    """One entry of an axis, and the axis dropped."""
    shape = shape_of(x)
    dim, index = dim % len(shape), index % shape[dim]
    return build.reshape(build.slice(x, dim, index, index + 1), (*shape[:dim], *shape[dim + 1 :]))


@rewrites("aten.unbind.int")
def unbind(build: Builder, x: Value, dim: int = 0) -> list[Value]:
    """All entries of an axis, one by one (query, key and value)."""
    build.keep_batch_whole(x, [dim])
    return [select(build, x, dim, index) for index in range(shape_of(x)[dim])]


@rewrites("aten.split_with_sizes.default", "aten.split.sizes")
def split_with_sizes(build: Builder, x: Value, sizes: Sequence[int], dim: int = 0) -> list[Value]:
    """Consecutive parts of the given sizes."""
    dim %= len(shape_of(x))
    ends = [sum(sizes[: part + 1]) for part in range(len(sizes))]
    return [build.slice(x, dim, end - size, end) for end, size in zip(ends, sizes, strict=True)]


@rewrites("aten.split.Tensor")
def split(build: Builder, x: Value, size: int, dim: int = 0) -> list[Value]:
    """Consecutive parts of one size, the last perhaps smaller."""
    build.keep_batch_whole(x, [dim])
    total = shape_of(x)[dim]
    return split_with_sizes(
        build, x, [min(size, total - start) for start in range(0, total, size)], dim
    )


@rewrites("aten.chunk.default")
def chunk(build: Builder, x: Value, chunks: int, dim: int = 0) -> list[Value]:
    """At most `chunks` equal parts."""
    return split(build, x, -(-shape_of(x)[dim] // chunks), dim)
