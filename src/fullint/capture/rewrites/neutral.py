"""Operators that change nothing at inference and disappear."""

from __future__ import annotations

from typing import Any

import torch

from fullint.capture.builder import Builder, Value
from fullint.capture.rewrites.registry import rewrites
from fullint.capture.shapes import shape_of


@rewrites(
    "aten.contiguous.default",
    "aten.clone.default",
    "aten.alias.default",
    "aten.detach.default",
    "aten.detach_.default",
    "aten.lift_fresh_copy.default",
)
def same(build: Builder, x: Value, **memory: Any) -> Value:
    """The same numbers, perhaps elsewhere in memory."""
    return x


@rewrites("aten.dropout.default", "aten.dropout_.default", "aten.feature_dropout.default")
def dropout(build: Builder, x: Value, p: float, train: bool) -> Value:
    """Identity in evaluation mode."""
    if train and p > 0:
        raise build.refusal(
            f"it drops values at random (p = {p}) even though the model is in evaluation mode"
        )
    return x


@rewrites(
    "aten.to.dtype",
    "aten.to.dtype_layout",
    "aten.to.device",
    "aten.to.other",
    "aten.type_as.default",
    "aten._to_copy.default",
)
def cast(build: Builder, x: Value, *target: Any, **options: Any) -> Value:
    """Identity, as long as the result is still float32."""
    dtype = build.operator.meta["val"].dtype
    if dtype != torch.float32:
        raise build.refusal(
            f"it computes in {str(dtype).removeprefix('torch.')}, and only float32 is captured"
        )
    return x


@rewrites("aten.expand.default", "aten.expand_as.default")
def expand(build: Builder, x: Value, *size: Any, **implicit: Any) -> Value:
    """Identity, where the tensor already has the size asked for."""
    if build.output_shape != shape_of(x):
        raise build.refusal("it repeats values that depend on the image")
    return x
