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
    # Then Python's integers: these bounds may pass int64 before they are refused.
    positive, negative = (sums.astype(object) for sums in _signed_sums(weights))
    highest = positive * high + negative * low + np.maximum(biases, 0)
    lowest = positive * low + negative * high + np.minimum(biases, 0)
    return TensorType((*x.shape[:-1], weights.shape[0]), int(lowest.min()), int(highest.max()))


def _signed_sums(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums (O,) of the positive and of the negative weights (O, K) of each row.

    This is a large part of the time of loading a model, so the weights are read as they are stored:
    NumPy takes the larger of two arrays, and sums of 32 bits, much faster than the larger of an
    array and a number, and sums of 64.
    """
    fits = weights.dtype.itemsize == 1 and weights.shape[1] < 1 << 24
    wide = np.int32 if fits else np.int64
    zeros = np.zeros(weights.shape[1], weights.dtype)
    positive = np.maximum(weights, zeros).sum(1, dtype=wide)
    return positive, weights.sum(1, dtype=wide) - positive


def compute(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Accumulators, exact."""
    return exact_matmul(x, weight.T) + bias


register("linear", infer=infer, compute=compute)
