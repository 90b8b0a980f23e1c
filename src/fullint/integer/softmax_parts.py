"""What the softmax operations share: from scores to distances, from distances to exponentials.

exp(x - max) = 2^-t, with t = (max - x) log2(e) * scale the distance below the row's maximum: the
scale of the scores and log2(e) are one constant factor, so scores need no grid of their own; the
accumulators of query times key enter as they are. t is a 15-bit fixed-point number with
FRACTION_BITS fraction bits: its whole part is a shift, its fraction goes through a second-order
polynomial.
"""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.factors import check_factor
from fullint.integer.types import INT32_HIGH, Operand, TensorType

FRACTION_BITS = 10
LARGEST_DISTANCE = 2**15 - 1
AMPLITUDE_BITS = 15
# Exponentials of at most 2^15 each add up to less than 2^31 in any shorter row.
LONGEST_ROW = 2**16


def check_scores(x: Operand, pre_shift: Operand, multiplier: Operand, shift: Operand) -> None:
    """Refuse scores or factors that could overflow, and factors that differ within a row."""
    if x.shape[-1] >= LONGEST_ROW:
        raise FullintError(
            f"rows of {x.shape[-1]} scores, {LONGEST_ROW} or more, could sum beyond int32"
        )
    span = x.type.high - x.type.low
    if span > INT32_HIGH:
        raise FullintError(f"scores span {span}, beyond int32")
    check_factor(TensorType(x.shape, 0, span), pre_shift, multiplier, shift, 16)
    for parameter in (pre_shift, multiplier, shift):
        if np.broadcast_shapes((*x.shape[:-1], 1), parameter.shape) != (*x.shape[:-1], 1):
            raise FullintError(
                f"factors of shape {parameter.shape} must be constant along the rows of {x.shape}"
            )


def distances_below_maximum(
    x: np.ndarray, pre_shift: np.ndarray, multiplier: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """t for every element, in [0, LARGEST_DISTANCE]; 0 at the row's maximum.

    Saturates at LARGEST_DISTANCE, where 2^-t is below 2^-31, and also where the 16-bit intermediate
    does: factors should let that reach a distance at which nothing is left of 2^-t.
    """
    below = x.max(axis=-1, keepdims=True) - x
    scaled = fixed_point.requantize(below, pre_shift, multiplier, shift, intermediate_bits=16)
    return np.minimum(scaled, LARGEST_DISTANCE)


def exponentials(distances: np.ndarray, amplitude: int) -> np.ndarray:
    """amplitude * 2^-t, cut off; the row's maximum gives the amplitude itself."""
    fraction = (distances & (2**FRACTION_BITS - 1)) << (16 - FRACTION_BITS)
    return fixed_point.exp2_mantissa(fraction, amplitude) >> (distances >> FRACTION_BITS)


def negative_log2_softmax(
    x: np.ndarray, pre_shift: np.ndarray, multiplier: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """-log2(softmax) = t + log2(sum of 2^-t), in steps of 2^-FRACTION_BITS.

    No element is divided. Within 2 steps and log2(1.0024 + length / 2^14) of exact, which is how
    far the exponentials that are summed may be off; never below 0, for the maximum's is exact.
    """
    distances = distances_below_maximum(x, pre_shift, multiplier, shift)
    row_sum = exponentials(distances, 1 << AMPLITUDE_BITS).sum(axis=-1, keepdims=True)
    log2_sum = fixed_point.log2_fixed(row_sum, FRACTION_BITS) - (AMPLITUDE_BITS << FRACTION_BITS)
    return distances + log2_sum
