"""ATen operators rewritten to the normal form, one file a family; importing this registers all."""

from fullint.capture.rewrites import (
    activations,
    attention,
    batch_norm,
    convolution,
    joining,
    layout,
    linear,
    neutral,
    pooling,
    products,
    slicing,
    sums,
)

__all__ = [
    "activations",
    "attention",
    "batch_norm",
    "convolution",
    "joining",
    "layout",
    "linear",
    "neutral",
    "pooling",
    "products",
    "slicing",
    "sums",
]
