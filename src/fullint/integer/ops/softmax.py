"""softmax: attention weights as uint8 codes in steps of 1/255, the published "8-bit attention"."""

from __future__ import annotations

import numpy as np

from fullint.integer import fixed_point
from fullint.integer.ops.registry import register
from fullint.integer.softmax_parts import check_scores, distances_below_maximum, exponentials
from fullint.integer.types import Operand, TensorType

AMPLITUDE = 1 << 15


def infer(scores: Operand, pre_shift: Operand, multiplier: Operand, shift: Operand) -> TensorType:
    """Codes 0..255, each at most half a step above its share: a row sums to 255 + length / 2."""
    check_scores(scores, pre_shift, multiplier, shift)
    return TensorType(scores.shape, 0, 255, row_sum=255 + (scores.shape[-1] + 1) // 2)


def compute(
    scores: np.ndarray, pre_shift: np.ndarray, multiplier: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """round(255 e / sum(e)), one division a row: e times the 15-bit reciprocal of the sum.

    Within 1 + length / 128 codes of 255 times the real softmax. The second term is the worst of a
    long row whose many small exponentials, each cut off, weigh next to one large one.
    """
    distances = distances_below_maximum(scores, pre_shift, multiplier, shift)
    numerators = exponentials(distances, AMPLITUDE)
    mantissa, exponent = fixed_point.reciprocal(numerators.sum(axis=-1, keepdims=True))
    factor = (mantissa * 255) >> 8
    return fixed_point.shift_right(numerators * factor, exponent - 8)


register("softmax", infer=infer, compute=compute)
