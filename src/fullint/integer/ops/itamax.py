"""itamax: attention weights from whole octaves, one division a row, the softmax of ITA.

After arXiv 2307.03493, section IV-B (streaming softmax), and its RTL. A score's exponential is
2^8 >> round(difference / 32), where the 8-bit scores are in steps of 1/32 octave; the sum is kept
in those units while the row streams past in groups of `group` (16 in ITA) that share a running
maximum; one division, 65280 / sum, gives the weight of the maximum, and shifts give the others.

Where the paper is silent or wrong, this is decided:

* Input scale: published are steps of 1/32 octave (fraction_bits = 5), whose 256 codes reach no
  further than 8 octaves. Trained models adapt; others have rows whose maxima lie further apart than
  that, and are cut off. With fewer fraction bits the range doubles for each, and only the last
  rounding to whole octaves remains (fraction_bits = 0: any order of a row gives the same result).
* Signed scores: codes are unsigned with a zero point; saturation at 255 is what hurts.
* Smallest weight in the sum: 2^-8. Elements further below the maximum add nothing (E2Softmax adds
  2^-15 each), so that long tails make the sum up to 0.4 % an element too small.
* A change of the maximum shifts the sum, cut off; the published loop rounds the shift.
* rounding = 0: quotient and shifted weights are cut off, as published, so that sums of rows lie
  below one; 1 rounds both, for two additions.
"""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.factors import check_factor
from fullint.integer.ops.e2softmax import LARGEST_SHIFT, exponents_and_sum, log2_exp
from fullint.integer.ops.registry import register
from fullint.integer.softmax_parts import check_scores
from fullint.integer.types import Operand, TensorType

SUM_BITS = 8
NUMERATOR = 255 << SUM_BITS


def infer(
    scores: Operand,
    pre_shift: Operand,
    multiplier: Operand,
    shift: Operand,
    *,
    zero_point: int,
    fraction_bits: int,
    group: int,
    rounding: int,
) -> TensorType:
    """uint8 weights in steps of 1/256; sums are below 2^24, as rows are shorter than 2^16."""
    check_scores(scores, pre_shift, multiplier, shift)
    check_factor(scores.type, pre_shift, multiplier, shift, 16)
    if not 0 <= zero_point <= 255:
        raise FullintError("zero_point must lie in [0, 255]")
    if not 0 <= fraction_bits <= 5 or rounding not in (0, 1) or group < 1:
        raise FullintError("fraction_bits lies in [0, 5], rounding is 0 or 1, group at least 1")
    exact_sum = group >= scores.shape[-1] or fraction_bits == 0
    row_sum = row_sum_bound(scores.shape[-1], exact_sum=exact_sum)
    return TensorType(scores.shape, 0, 255, row_sum=row_sum)


def compute(
    scores: np.ndarray,
    pre_shift: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    *,
    zero_point: int,
    fraction_bits: int,
    group: int,
    rounding: int,
) -> np.ndarray:
    """The quotient 65280 / sum, at most 255, shifted right by each element's exponent."""
    scaled = fixed_point.requantize(scores, pre_shift, multiplier, shift, intermediate_bits=16)
    codes = np.clip(scaled + zero_point, 0, 255)
    _, row_sum = exponents_and_sum(
        codes, fraction_bits, 0, group, sum_bits=SUM_BITS, largest=LARGEST_SHIFT
    )
    exponents = log2_exp(codes.max(axis=-1, keepdims=True) - codes, fraction_bits, 0)
    if rounding:
        quotient = (NUMERATOR + (row_sum >> 1)) // row_sum
        return fixed_point.shift_right(quotient, exponents)
    return (NUMERATOR // row_sum) >> exponents


def row_sum_bound(length: int, *, exact_sum: bool) -> int:
    """Most that a row's weights can add up to.

    With S the sum and s the exponents up to 8 (beyond, weights are 0), a weight is at most
    (65280 / S + 1/2) 2^-s + 1/2. Where the sum is that of these exponents (`exact_sum`), but for
    less than a step that each group's shift cuts off, sum 2^-s <= (S + length) / 256, with S from
    256 to 256 length. The online form of rounded differences has no such bound (see e2softmax).
    """
    return min(255 * length, 255 + 3 * length) if exact_sum else 255 * length


register("itamax", infer=infer, compute=compute)
