"""Activation functions: they become activation, by the name of their kind."""

from __future__ import annotations

from fullint.capture import normal_form
from fullint.capture.builder import Builder, Value, operator_name
from fullint.capture.rewrites.registry import rewrites

_KINDS = ("relu", "relu6", "silu", "mish", "hardswish", "hardsigmoid", "sigmoid", "tanh")


@rewrites(*(f"aten.{kind}{suffix}.default" for kind in _KINDS for suffix in ("", "_")))
def activation(build: Builder, x: Value) -> Value:
    """The kind is the operator's name; the variant that works in place ends in an underscore."""
    kind = operator_name(build.operator).split(".")[1].rstrip("_")
    return build.call(normal_form.activation, x, kind)


@rewrites("aten.gelu.default", "aten.gelu_.default")
def gelu(build: Builder, x: Value, approximate: str = "none") -> Value:
    """GELU, exact or in its tanh approximation."""
    return build.call(normal_form.activation, x, "gelu" if approximate == "none" else "gelu_tanh")
