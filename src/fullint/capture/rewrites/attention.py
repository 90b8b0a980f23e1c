"""Attention and softmax; fused attention becomes the same nodes as attention written out."""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.capture import normal_form
from fullint.capture.builder import Builder, Value
from fullint.capture.rewrites.products import multiply
from fullint.capture.rewrites.registry import rewrites
from fullint.capture.rewrites.sums import add
from fullint.capture.shapes import shape_of


@rewrites("aten.softmax.int", "aten._softmax.default")
def softmax(build: Builder, x: Value, dim: int, dtype: object = None) -> Value:
    """Softmax over the last axis; no other axis is in the normal form."""
    if dim % len(shape_of(x)) != len(shape_of(x)) - 1:
        raise build.refusal(f"it takes the softmax over axis {dim}, not over the last")
    return build.call(normal_form.softmax, x)


@rewrites("aten.scaled_dot_product_attention.default")
def scaled_dot_product_attention(
    build: Builder,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    """softmax(scale * query @ key^T + mask) @ value; the default scale is 1 / sqrt(channels).

    query, key and value are (..., tokens, channels).
    """
    if is_causal or enable_gqa or dropout_p > 0:
        raise build.refusal("its causal mask, grouped heads and dropout are not in the normal form")
    if isinstance(attn_mask, Tensor) and attn_mask.dtype == torch.bool:
        if not attn_mask.all():
            raise build.refusal("its mask is boolean, and only one added to the scores is known")
        attn_mask = None
    query = multiply(build, query, shape_of(query)[-1] ** -0.5 if scale is None else scale)
    rank = len(shape_of(key))
    scores = build.call(
        normal_form.matmul, query, build.permute(key, (*range(rank - 2), rank - 1, rank - 2))
    )
    if attn_mask is not None:
        scores = add(build, scores, attn_mask)
    return build.call(normal_form.matmul, build.call(normal_form.softmax, scores), value)
