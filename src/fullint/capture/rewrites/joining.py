"""Operators that put tensors together: they become concat."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fullint.capture import normal_form
from fullint.capture.builder import Builder, Value
from fullint.capture.rewrites.registry import rewrites
from fullint.capture.shapes import batch_axis, shape_of


@rewrites("aten.cat.default", "aten.concat.default")
def concat(build: Builder, tensors: Sequence[Value], dim: int = 0) -> Value:
    """Tensors one after another along an axis; concat expands a class token to the batch."""
    dim %= len(shape_of(tensors[0]))
    for tensor in tensors:
        build.keep_batch_whole(tensor, [dim])
    return build.call(normal_form.concat, list(tensors), dim)


@rewrites("aten.stack.default")
def stack(build: Builder, tensors: Sequence[Value], dim: int = 0) -> Value:
    """Tensors side by side along a new axis."""
    dim %= len(shape_of(tensors[0])) + 1
    shapes = [shape_of(tensor) for tensor in tensors]
    widened = [
        build.reshape(x, (*shape[:dim], 1, *shape[dim:]))
        for x, shape in zip(tensors, shapes, strict=True)
    ]
    return concat(build, widened, dim)


@rewrites("aten.pad.default", "aten.constant_pad_nd.default")
def pad(
    build: Builder,
    x: Value,
    pads: Sequence[int],
    mode: str | float = "constant",
    value: float | None = None,
) -> Value:
    """A constant border (Swin, where a map is not a multiple of the window): one concat an axis;
    none where all pads are 0.

    `pads` counts from the last axis: before and after the last, before and after the last but one,
    ...
    """
    if isinstance(mode, str) and mode != "constant":
        raise build.refusal(f"it pads in mode {mode!r}, not with a constant")
    if min(pads, default=0) < 0:
        raise build.refusal("it pads by a negative number")
    fill = mode if isinstance(mode, (int, float)) else value or 0.0
    for pair, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=True)):
        dim = len(shape_of(x)) - 1 - pair
        borders = [_border(x, dim, width, fill) for width in (before, after)]
        parts = [part for part in (borders[0], x, borders[1]) if part is not None]
        x = x if len(parts) == 1 else concat(build, parts, dim)
    return x


def _border(x: Value, dim: int, width: int, fill: float) -> torch.Tensor | None:
    if width == 0:
        return None
    shape = list(shape_of(x))
    shape[dim] = width
    batch = batch_axis(shape)
    if batch is not None:
        shape[batch] = 1
    return torch.full(shape, fill)
