"""e2softmax: attention weights from 8-bit scores by shifts alone, the softmax of SOLE.

After arXiv 2510.17189, E2Softmax. Exponentials are powers of two, kept as 4-bit
exponents; the sum is divided by finding its leading one. No multiplier, no table. A row is read in
groups of `group` scores that share a running maximum, so one attribute covers both published forms:
1 is the paper's Algorithm 1 (and a unit of V lanes has group = V), a group as long as the row is
the form that knows the row's maximum.

Where the paper is silent or wrong, this is decided:

* Input scale: the paper's Log2Exp(x) = -round(x + x/2 - x/16) needs x in nats. Scores are brought
  to 8-bit codes in steps of 2^-fraction_bits nats (natural = 1), or of 2^-fraction_bits octaves
  (natural = 0): there log2(e) is part of the constant factor, which is free, and Log2Exp is only a
  rounding. With natural = 0 and fraction_bits = 0 even that vanishes: differences are whole
  octaves, so that every order of the row gives the same result, up to the bits that the sum cuts.
* The halves and sixteenths of Log2Exp are not cut off before the one rounding (halves up).
* Signed scores: codes are unsigned with a zero point. Only differences enter; saturation at 255 is
  what hurts, not at 0.
* Exponents beyond 15 are 15: an element never vanishes from the sum. A change of the maximum
  shifts the sum by up to 31 places.
* Sum: 15 fraction bits, 15 + bits of the row's length in all, cut off by every such shift.
* The 8-bit result is rounded, not cut off: it comes from a table of 2 x 9 entries either way.
"""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.factors import check_factor
from fullint.integer.ops.registry import register
from fullint.integer.ops.shift_matmul import LARGEST_CODE
from fullint.integer.softmax_parts import check_scores
from fullint.integer.types import Operand, TensorType

LARGEST_SHIFT = 31
# 0.818 and 0.568 in steps of 1/256, as published: no error on average.
PUBLISHED_QUOTIENTS = (209, 145)
# 0.811 and 0.575: the least error in square for s uniform in each half. On Gaussian scores the two
# pairs differ by less than 1 % in root mean square.
LEAST_ERROR_QUOTIENTS = (208, 147)


def infer(
    scores: Operand,
    pre_shift: Operand,
    multiplier: Operand,
    shift: Operand,
    *,
    zero_point: int,
    fraction_bits: int,
    natural: int,
    group: int,
    output_bits: int,
    quotients: tuple[int, ...],
) -> TensorType:
    """uint8 weights in steps of 1/256 (output_bits = 8), or codes 0..15 for 2^-code (4)."""
    check_scores(scores, pre_shift, multiplier, shift)
    check_factor(scores.type, pre_shift, multiplier, shift, 16)
    if not 0 <= zero_point <= 255:
        raise FullintError("zero_point must lie in [0, 255]")
    if not 0 <= fraction_bits <= 5:
        raise FullintError("fraction_bits must lie in [0, 5]")
    if natural not in (0, 1) or output_bits not in (4, 8) or group < 1:
        raise FullintError("natural is 0 or 1, output_bits 4 or 8, and group at least 1")
    if len(quotients) != 2 or not all(1 <= quotient <= 255 for quotient in quotients):
        raise FullintError("quotients are two numbers in [1, 255]")
    exact_sum = group >= scores.shape[-1] or (natural == 0 and fraction_bits == 0)
    row_sum = row_sum_bound(scores.shape[-1], output_bits, quotients, exact_sum=exact_sum)
    high = LARGEST_CODE if output_bits == 4 else max(quotients)
    return TensorType(scores.shape, 0, high, row_sum=row_sum)


def compute(
    scores: np.ndarray,
    pre_shift: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    *,
    zero_point: int,
    fraction_bits: int,
    natural: int,
    group: int,
    output_bits: int,
    quotients: tuple[int, ...],
) -> np.ndarray:
    """2^-k (1 + s) divided into a power of two; k of a sum S = 2^k (1 + s), s rounded to halves."""
    scaled = fixed_point.requantize(scores, pre_shift, multiplier, shift, intermediate_bits=16)
    codes = np.clip(scaled + zero_point, 0, 255)
    exponents, row_sum = exponents_and_sum(codes, fraction_bits, natural, group)
    length = fixed_point.bit_length(row_sum)
    upper_half = (row_sum >> (length - 2)) & 1
    exponents = exponents + length - 1 - LARGEST_CODE
    if output_bits == 4:
        return np.minimum(exponents + upper_half, LARGEST_CODE)
    quotient = np.where(upper_half == 1, quotients[1], quotients[0])
    return fixed_point.shift_right(quotient, np.minimum(exponents, LARGEST_CODE))


def exponents_and_sum(
    codes: np.ndarray,
    fraction_bits: int,
    natural: int,
    group: int,
    *,
    sum_bits: int = LARGEST_CODE,
    largest: int = LARGEST_CODE,
) -> tuple[np.ndarray, np.ndarray]:
    """Each element's exponent below the row's maximum, and the sum (..., 1) in steps of
    2^-sum_bits. Below the maximum of its own group an exponent is at most `largest`.

    Differences fit 8 bits, their 23-fold 13; exponents are at most `largest` + 31, and the sum is
    from 2^sum_bits (the maximum's own group, never shifted) to length * 2^sum_bits.
    """
    maximum = np.zeros_like(codes[..., :1])
    row_sum = np.zeros_like(maximum)
    exponents, maxima = [], []
    for start in range(0, codes.shape[-1], group):
        part = codes[..., start : start + group]
        previous = maximum
        maximum = np.maximum(previous, part.max(axis=-1, keepdims=True))
        own = np.minimum(log2_exp(maximum - part, fraction_bits, natural), largest)
        weights = (np.int64(1 << sum_bits) >> own).sum(axis=-1, keepdims=True)
        row_sum = (row_sum >> log2_exp(maximum - previous, fraction_bits, natural)) + weights
        exponents.append(own)
        maxima.append(maximum)
    corrected = [
        own + log2_exp(maximum - then, fraction_bits, natural)
        for own, then in zip(exponents, maxima, strict=True)
    ]
    return np.concatenate(corrected, axis=-1), row_sum


def log2_exp(below: np.ndarray, fraction_bits: int, natural: int) -> np.ndarray:
    """round(log2(e) * below / 2^fraction_bits) with 23/16 for log2(e), at most LARGEST_SHIFT."""
    if natural:
        below, fraction_bits = 23 * below, fraction_bits + 4
    return np.minimum(fixed_point.shift_right(below, fraction_bits), LARGEST_SHIFT)


def row_sum_bound(
    length: int, output_bits: int, quotients: tuple[int, ...], *, exact_sum: bool
) -> int:
    """Most that a row's codes, or the 2^(15 - code) of 4-bit ones, can add up to.

    Where the sum is that of the exponents used (`exact_sum`), but for at most a step of 2^-15 an
    element cut off, a weight is at most (1 + s) quotient times its share, with s below 1/2 or below
    1; each is then rounded. The online form of rounded differences has no such bound: scores that
    rise by just less than half an octave each never move the sum. Never less than the largest
    code an element, for 4-bit codes multiplied as such.
    """
    largest = 1 << LARGEST_CODE if output_bits == 4 else max(quotients)
    if not exact_sum:
        return length * largest
    # 4-bit codes: quotients 1 and 1/2 of 2^15.
    first, second = (1 << 15, 1 << 14) if output_bits == 4 else quotients
    share = max(3 * first, 4 * second) / 2
    bound = int(share * (1 + length / 2**15)) + 1 + length
    return min(length * largest, max(bound, LARGEST_CODE * length))


register("e2softmax", infer=infer, compute=compute)
