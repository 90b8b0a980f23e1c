"""weighted_average: sum_k p_k v_k / sum_k p_k, attention times value with one division a row."""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.exact_matmul import exact_matmul
from fullint.integer.ops.matmul import check_matmul_shapes
from fullint.integer.ops.registry import register
from fullint.integer.types import INT32_HIGH, Operand, TensorType


def infer(
    p: Operand, v: Operand, *, zero_v: int, value_bits: int, fraction_bits: int
) -> TensorType:
    """p (..., M, K) non-negative, not all zero in a row; v (..., K, N) of `value_bits` and a sign.

    |v - zero_v| <= 2^value_bits. The result (..., M, N) is an average of v - zero_v in steps of
    2^-fraction_bits.
    """
    check_matmul_shapes(p, v)
    largest = max(abs(v.type.low - zero_v), abs(v.type.high - zero_v))
    if p.type.low < 0 or not 0 <= value_bits <= 14 or largest > 1 << value_bits:
        raise FullintError(
            f"values reach {largest}, beyond 2^{value_bits}, or weights are negative"
        )
    if not 0 <= fraction_bits <= 14 - value_bits:
        raise FullintError(f"fraction_bits must lie in [0, {14 - value_bits}]")
    row_sum = p.shape[-1] * p.type.high if p.type.row_sum is None else p.type.row_sum
    rounding = (1 << int(accumulator_shift(np.array(max(row_sum, 1)), value_bits))) >> 1
    worst = row_sum * max(largest, 1) + rounding
    if worst > INT32_HIGH:
        raise FullintError(f"a row's sum could reach {worst}, beyond int32")
    bound = (largest << fraction_bits) + 1
    return TensorType((*p.shape[:-1], v.shape[-1]), -bound, bound)


def compute(
    p: np.ndarray, v: np.ndarray, *, zero_v: int, value_bits: int, fraction_bits: int
) -> np.ndarray:
    """The accumulator times the reciprocal of the row's sum: a requantization with a row's factor.

    Less than 1.75 steps from the exact quotient: 1 by the reciprocal, 1/4 by the pre-shift, 1/2 by
    the last rounding. A row of zeros (which `exponentials` never makes) counts as sum 1.
    """
    total = exact_matmul(p, v - zero_v)
    row_sum = np.maximum(p.sum(axis=-1, keepdims=True), 1)
    mantissa, exponent = fixed_point.reciprocal(row_sum)
    pre_shift = accumulator_shift(row_sum, value_bits)
    shift = exponent - fraction_bits - pre_shift
    return fixed_point.requantize(total, pre_shift, mantissa, shift, intermediate_bits=16)


def accumulator_shift(row_sum: np.ndarray, value_bits: int) -> np.ndarray:
    """Shift that leaves a row's accumulator, at most row_sum * 2^value_bits, 15 bits and a sign."""
    return np.maximum(fixed_point.bit_length(row_sum - 1) + value_bits - 15, 0)


register("weighted_average", infer=infer, compute=compute)
