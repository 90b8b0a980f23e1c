"""Sums and differences: they become add."""

from __future__ import annotations

from torch import Tensor, fx

from fullint.capture import normal_form
from fullint.capture.builder import Builder, Value
from fullint.capture.rewrites.products import Operand, as_value, multiply
from fullint.capture.rewrites.registry import rewrites
from fullint.capture.shapes import PROBE_BATCH, batch_axis, shape_of


@rewrites("aten.add.Tensor", "aten.add_.Tensor")
def add(build: Builder, a: Operand, b: Operand, alpha: float = 1) -> Value:
    """a + alpha * b, either of them perhaps constant; a constant comes second."""
    x, y = as_value(a), as_value(b) if alpha == 1 else multiply(build, b, alpha)
    if isinstance(x, Tensor):
        x, y = y, x
    axis = _axis_of_shares(x, y)
    return build.call(normal_form.add, x, y) if axis is None else _add_to_shares(build, x, y, axis)


@rewrites("aten.sub.Tensor", "aten.sub_.Tensor")
def subtract(build: Builder, a: Operand, b: Operand, alpha: float = 1) -> Value:
    """a - alpha * b for a constant b."""
    if isinstance(b, fx.Node):
        raise build.refusal("it subtracts a value that depends on the image")
    return add(build, a, as_value(b) * -alpha)


def _axis_of_shares(x: Value, constant: Value) -> int | None:
    """The axis of x (batch * shares, ...) along which `constant` (shares, ...) has its entries.

    Swin lays the windows of an image along the batch axis, and fused attention adds a mask that
    differs from window to window. None where `constant` simply broadcasts.
    """
    axis = batch_axis(shape_of(x))
    if axis is None or not isinstance(constant, Tensor):
        return None
    own_axis = axis - len(shape_of(x)) + constant.dim()
    shares = shape_of(x)[axis] // PROBE_BATCH
    return axis if own_axis >= 0 and shares > 1 and constant.shape[own_axis] == shares else None


def _add_to_shares(build: Builder, x: Value, constant: Tensor, axis: int) -> Value:
    """For the sum, the batch gets an axis of its own."""
    shape = shape_of(x)
    shares = (PROBE_BATCH, shape[axis] // PROBE_BATCH)
    split = build.reshape(x, (*shape[:axis], *shares, *shape[axis + 1 :]))
    return build.reshape(build.call(normal_form.add, split, constant), shape)
