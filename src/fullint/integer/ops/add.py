"""add: exact addition of tensors on one grid (a bias or an attention mask onto accumulators)."""

from __future__ import annotations

import numpy as np

from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType, broadcast_shape


def infer(a: Operand, b: Operand) -> TensorType:
    """Shapes broadcast; the range is the sum of the ranges."""
    return TensorType(broadcast_shape(a, b), a.type.low + b.type.low, a.type.high + b.type.high)


def compute(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a + b."""
    return a + b


register("add", infer=infer, compute=compute)
