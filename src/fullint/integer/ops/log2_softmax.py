"""log2_softmax: attention weights as 4-bit codes k for 2^-k, FQ-ViT's log-int-softmax.

After arXiv 2111.13824, eq. 13 to 15. The code is a difference of logarithms: -log2(softmax) = t +
log2(sum 2^-t), with t the distance below the maximum in base 2. So no element is divided (the
published code divides the sum by every exponential, in numbers up to 2^38), all numbers fit int32
but the ten squares of a row's one logarithm, and the codes are exactly the sixteen 0..15: the
published code's seventeenth value, zero, becomes 2^-15.
"""

from __future__ import annotations

import math

import numpy as np

from fullint.errors import FullintError
from fullint.integer.ops.registry import register
from fullint.integer.ops.shift_matmul import LARGEST_CODE
from fullint.integer.softmax_parts import FRACTION_BITS, check_scores, negative_log2_softmax
from fullint.integer.types import Operand, TensorType


def infer(
    scores: Operand, pre_shift: Operand, multiplier: Operand, shift: Operand, *, rounding: int
) -> TensorType:
    """Codes 0..15; `row_sum` bounds a row's sum of 2^(15 - code), see `row_sum_bound`."""
    check_scores(scores, pre_shift, multiplier, shift)
    if not 0 <= rounding < 1 << FRACTION_BITS:
        raise FullintError(f"rounding must lie in [0, {(1 << FRACTION_BITS) - 1}]")
    return TensorType(
        scores.shape, 0, LARGEST_CODE, row_sum=row_sum_bound(scores.shape[-1], rounding)
    )


def compute(
    scores: np.ndarray,
    pre_shift: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    *,
    rounding: int,
) -> np.ndarray:
    """clip(floor(-log2(softmax(scores)) + rounding / 2^FRACTION_BITS), 0, 15).

    `rounding` places the boundary between codes k and k + 1: 512 of 1024 at 2^-(k + 1/2) as in the
    paper (its code: log2(4/3) = 425; nearest in value: 599).
    """
    logarithms = negative_log2_softmax(scores, pre_shift, multiplier, shift)
    return np.clip((logarithms + rounding) >> FRACTION_BITS, 0, LARGEST_CODE)


def row_sum_bound(length: int, rounding: int) -> int:
    """Most that a row's sum of 2^(15 - code) can be.

    A code is less than 1 - rounding / 1024 below its exact value, so a weight is less than 2^(1 -
    rounding / 1024) times the exact one, whose sum is 1; the polynomial, the cut-off exponentials
    and the logarithm add less than 1 % and 3 steps an element; weights below 2^-15 are rounded up
    to it. Never less than 15 a code, so that it also bounds the plain sum of the codes, were they
    ever multiplied as such.
    """
    bound = math.ceil(2**LARGEST_CODE * 2 ** (1 - rounding / 2**FRACTION_BITS) * 1.01) + 7 * length
    return max(bound, LARGEST_CODE * length)


register("log2_softmax", infer=infer, compute=compute)
