"""Operators that only reorder elements: they become reshape, permute and roll."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fullint.capture import normal_form
from fullint.capture.builder import Builder, Value, positive
from fullint.capture.rewrites.registry import rewrites
from fullint.capture.shapes import shape_of


@rewrites(
    "aten.reshape.default",
    "aten.view.default",
    "aten.flatten.using_ints",
    "aten.unflatten.int",
    "aten.unsqueeze.default",
    "aten.squeeze.default",
    "aten.squeeze.dim",
    "aten.squeeze.dims",
    "aten.view_as.default",
)
def reshape(build: Builder, x: Value, *shape: Any) -> Value:
    """A new shape, which torch.export has computed; the arguments add nothing to it."""
    return build.reshape(x, build.output_shape)


@rewrites("aten.permute.default")
def permute(build: Builder, x: Value, dims: Sequence[int]) -> Value:
    """A permutation of all axes."""
    return build.permute(x, dims)


@rewrites("aten.transpose.int", "aten.swapaxes.default", "aten.swapdims.default")
def transpose(build: Builder, x: Value, first: int, second: int) -> Value:
    """Two axes exchanged."""
    dims = list(range(len(shape_of(x))))
    dims[first], dims[second] = dims[second], dims[first]
    return build.permute(x, dims)


@rewrites("aten.t.default", "aten.numpy_T.default")
def transpose_matrix(build: Builder, x: Value) -> Value:
    """All axes in the opposite order."""
    return build.permute(x, range(len(shape_of(x)))[::-1])


@rewrites("aten.mT.default", "aten.adjoint.default")
def transpose_matrices(build: Builder, x: Value) -> Value:
    """The last two axes exchanged."""
    return transpose(build, x, -2, -1)


@rewrites("aten.roll.default")
def roll(build: Builder, x: Value, shifts: Sequence[int], dims: Sequence[int] = ()) -> Value:
    """The cyclic shift of Swin's windows (arXiv 2103.14030, section 3.2)."""
    if not dims:
        raise build.refusal("it rolls the flattened tensor")
    axes = positive(dims, len(shape_of(x)))
    build.keep_batch_whole(x, axes)
    return build.call(normal_form.roll, x, tuple(shifts), axes)
