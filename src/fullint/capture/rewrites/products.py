"""Products and quotients: they become scale, or disappear into the layer before them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from fullint.capture import normal_form
from fullint.capture.builder import Builder, Value
from fullint.capture.rewrites.registry import rewrites
from fullint.capture.shapes import shape_of

Operand = Value | float

_QUICK_GELU_SLOPE = 1.702  # x * sigmoid(1.702 x): arXiv 1606.08415, section 2


@rewrites("aten.mul.Tensor", "aten.mul_.Tensor")
def multiply(build: Builder, a: Operand, b: Operand) -> Value:
    """a * b. One of them constant: a number, or a factor a channel. Neither: x * sigmoid(x)."""
    if isinstance(a, fx.Node) and isinstance(b, fx.Node):
        return _gate(build, a, b)
    x, factor = (a, b) if isinstance(a, fx.Node) else (b, a)
    if not isinstance(x, fx.Node):
        return as_value(x) * as_value(factor)
    number = _as_number(factor)
    return _fold(build, x, as_value(factor)) if number is None else _scale(build, x, number)


@rewrites("aten.div.Tensor", "aten.div_.Tensor")
def divide(build: Builder, a: Operand, b: Operand) -> Value:
    """a / b for a constant b."""
    if isinstance(b, fx.Node):
        raise build.refusal("it divides by a value that depends on the image")
    return multiply(build, a, 1 / b)


def as_value(operand: Operand) -> Any:
    """A number as a tensor; everything else as it is."""
    return torch.tensor(float(operand)) if isinstance(operand, (int, float)) else operand


def _as_number(operand: Operand) -> float | None:
    if isinstance(operand, Tensor):
        return operand.item() if operand.numel() == 1 else None
    return operand if isinstance(operand, (int, float)) else None


def _scale(build: Builder, x: fx.Node, factor: float) -> Value:
    """x * factor; the factor of the attention scores goes to the query, as in fused attention."""
    if factor == 1:
        return x
    if not factor > 0:
        raise build.refusal(f"it multiplies by {factor}, and scale takes positive factors only")
    arguments: Any = x.args
    if x.target is normal_form.scale:
        return _scale(build, arguments[0], arguments[1] * factor)
    if x.target is normal_form.matmul and arguments[0].target is not normal_form.softmax:
        query = build.value_of(arguments[0])
        return build.call(normal_form.matmul, multiply(build, query, factor), arguments[1])
    return build.call(normal_form.scale, x, float(factor))


def _fold(build: Builder, x: fx.Node, factor: Tensor) -> Value:
    """x * factor (C) after a linear layer or a layer norm (LayerScale): a layer with other weights.

    The layer itself disappears unless something else reads it, too.
    """
    channels = shape_of(x)[-1]
    is_layer = x.target in (normal_form.linear, normal_form.layer_norm)
    if not is_layer or factor.numel() != channels or factor.shape[-1] != channels:
        raise build.refusal(
            f"it multiplies by a constant of shape {tuple(factor.shape)}, and only a number, or "
            "one factor a channel right after a linear layer or a layer norm, can be"
        )
    layer: Any = x.target
    source, weight, bias, *rest = (build.value_of(argument) for argument in x.args)
    per_channel = factor.flatten()
    weight = weight * per_channel.view(-1, *[1] * (weight.dim() - 1))
    bias = None if bias is None else bias * per_channel
    with build.origin_of(x):
        return build.call(layer, source, weight, bias, *rest)


def _gate(build: Builder, a: fx.Node, b: fx.Node) -> Value:
    """x * sigmoid(x) and x * sigmoid(1.702 x), in either order."""
    for x, gate in ((a, b), (b, a)):
        if gate.target is normal_form.activation and gate.args[1] == "sigmoid":
            inner: Any = gate.args[0]
            if inner is x:
                return build.call(normal_form.activation, x, "silu")
            if inner.target is normal_form.scale and inner.args == (x, _QUICK_GELU_SLOPE):
                return build.call(normal_form.activation, x, "quick_gelu")
    raise build.refusal("it multiplies two values that both depend on the image")
