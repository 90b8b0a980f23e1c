"""Operators with learnt weights, except convolutions: linear, matrix product, layer norm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fullint.capture import normal_form
from fullint.capture.builder import Builder, Value
from fullint.capture.rewrites.registry import rewrites


@rewrites("aten.linear.default")
def linear(build: Builder, x: Value, weight: Value, bias: Value | None = None) -> Value:
    """x (..., K), weight (O, K), bias (O)."""
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None):
        raise build.refusal("its weight or bias depends on the image")
    return build.call(normal_form.linear, x, weight, bias)


@rewrites("aten.matmul.default", "aten.bmm.default", "aten.mm.default")
def matmul(build: Builder, a: Value, b: Value) -> Value:
    """A product with a constant matrix is a linear layer; one of two computed tensors a matmul."""
    if isinstance(b, Tensor) and b.dim() == 2:
        return linear(build, a, b.t().contiguous())
    return build.call(normal_form.matmul, a, b)


@rewrites("aten.addmm.default")
def addmm(build: Builder, bias: Value, x: Value, weight: Value) -> Value:
    """bias (O) + x (N, K) @ weight (K, O)."""
    if not isinstance(weight, Tensor):
        raise build.refusal("its weight depends on the image")
    return linear(build, x, weight.t().contiguous(), bias)


@rewrites("aten.layer_norm.default")
def layer_norm(
    build: Builder,
    x: Value,
    normalized_shape: Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Value:
    """Layer norm over the last axis; without affine parameters it gets ones and zeros."""
    if len(normalized_shape) != 1:
        raise build.refusal(
            f"it normalises over the last {len(normalized_shape)} axes, not over the last one"
        )
    weight = torch.ones(*normalized_shape) if weight is None else weight
    bias = torch.zeros(*normalized_shape) if bias is None else bias
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor):
        raise build.refusal("its weight or bias depends on the image")
    return build.call(normal_form.layer_norm, x, weight, bias, eps)
