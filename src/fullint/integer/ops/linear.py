"""linear: x W^T + b in integers; the zero point of x is folded into the bias."""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer.exact_matmul import exact_matmul
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType


def infer(x: Operand, weight: Operand, bias: Operand) -> TensorType:
    """x (..., K), weight (O, K), bias (O) to int32 (..., O).

    The bound is the worst case over every input in range, from the weights themselves. It also
    holds for every partial sum that starts from zero and adds the bias last or first, since
    positive and negative terms are bounded apart.
    """
    weights, biases = weight.stored(), bias.values()
    if weights.ndim != 2 or weights.shape[1] != x.shape[-1] or biases.shape != (weights.shape[0],):
        raise FullintError(f"linear of x {x.shape}, weight {weight.shape}, bias {bias.shape}")
    low, high = min(x.type.low, 0), max(x.type.high, 0)
    # Sums over the weights as stored, a wide copy of which is most of a large model's loading
    # time; then Python's integers: these bounds may pass int64 before they are refused.
    positive = np.maximum(weights, 0).sum(1, dtype=np.int64)
    negative = (weights.sum(1, dtype=np.int64) - positive).astype(object)
    positive = positive.astype(object)
    highest = positive * high + negative * low + np.maximum(biases, 0)
    lowest = positive * low + negative * high + np.minimum(biases, 0)
    return TensorType((*x.shape[:-1], weights.shape[0]), int(lowest.min()), int(highest.max()))


def compute(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Accumulators, exact."""
    return exact_matmul(x, weight.T) + bias


register("linear", infer=infer, compute=compute)
