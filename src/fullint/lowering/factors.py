"""Choosing the integers of a requantization for a real factor.

Fast form: a 15-bit multiplier between two rounded shifts. Results that saturate at size L are at
most 1/2 + (L + 1) 2^-14 steps from exact: half of the second term is the intermediate's rounding,
half the multiplier's (0.508 steps for signed 8-bit results, 2.5 for signed 16-bit ones).

Exact form: a 31-bit multiplier chosen so that the integer result equals the real one, rounded once,
for every accumulator in range (after arXiv 2008.13128); `first_disagreement` proves it threshold by
threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fullint.errors import FullintError

LARGEST_FAST_SHIFT = 30
LARGEST_EXACT_SHIFT = 62
PROVABLE_CODES = 1024


@dataclass(frozen=True)
class Factors:
    """Constants of a `requantize`, int64 arrays of one shape."""

    pre_shift: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    intermediate_bits: int


def fast_factors(factor: np.ndarray, *, largest_input: int, largest_output: int) -> Factors:
    """Factors whose 16-bit intermediate saturates only where the input is beyond its bound or the
    output saturates too.

    Args:
        factor: positive reals, any shape.
        largest_input: bound on the size of the input.
        largest_output: size beyond which the output saturates.
    """
    factor = np.maximum(np.asarray(factor, dtype=np.float64), 2.0**-60)
    meaningful = np.minimum(float(largest_input), (largest_output + 1) / factor)
    pre_shift = np.maximum(np.ceil(np.log2(np.maximum(meaningful, 1) / 32767)), 0).astype(np.int64)
    rest = np.ldexp(factor, pre_shift)
    shift = np.clip(14 - np.floor(np.log2(rest)).astype(np.int64), 0, LARGEST_FAST_SHIFT)
    multiplier = np.rint(np.ldexp(rest, shift)).astype(np.int64)
    rounded_up = (multiplier == 1 << 15) & (shift > 0)
    multiplier, shift = (
        np.where(rounded_up, multiplier >> 1, multiplier),
        np.where(rounded_up, shift - 1, shift),
    )
    if multiplier.max() >= 1 << 15:
        raise FullintError(
            f"a factor of {factor.max():.3g} between two integer grids is too large to requantize"
        )
    return Factors(pre_shift, multiplier, shift, 16)


def exact_factors(factor: np.ndarray, *, low: int, high: int, largest_input: int) -> Factors:
    """Factors that agree with real arithmetic rounded once (halves up), for every input up to
    `largest_input` in size.

    For outputs of at most PROVABLE_CODES codes the multiplier is proven to agree; where no 31-bit
    multiplier does, and for wider outputs, it is the nearest one, off by one step at the few inputs
    that lie within 2^-31 of a boundary, relatively.
    """
    factor = np.asarray(factor, dtype=np.float64)
    pairs = [
        _exact_pair(Fraction(float(item)), low=low, high=high, largest_input=largest_input)
        for item in factor.reshape(-1)
    ]
    multiplier = np.array([pair[0] for pair in pairs], dtype=np.int64).reshape(factor.shape)
    shift = np.array([pair[1] for pair in pairs], dtype=np.int64).reshape(factor.shape)
    return Factors(np.zeros_like(shift), multiplier, shift, 32)


def _exact_pair(factor: Fraction, *, low: int, high: int, largest_input: int) -> tuple[int, int]:
    """Multiplier and shift of one factor: the shortest multiplier that never disagrees, else the
    longest.
    """
    longest = min(LARGEST_EXACT_SHIFT, 30 - math.floor(math.log2(factor)))
    if longest < 0:
        raise FullintError(
            f"a factor of {float(factor):.3g} between two integer grids is too large to requantize"
        )
    if high - low < PROVABLE_CODES:
        for shift in range(max(longest - 20, 0), longest + 1):
            for multiplier in sorted({math.floor(factor * 2**shift), math.ceil(factor * 2**shift)}):
                if 0 < multiplier < 2**31 and (
                    first_disagreement(
                        factor, multiplier, shift, low=low, high=high, largest_input=largest_input
                    )
                    is None
                ):
                    return multiplier, shift
    return min(round(factor * 2**longest), 2**31 - 1), longest


def first_disagreement(
    factor: Fraction, multiplier: int, shift: int, *, low: int, high: int, largest_input: int
) -> int | None:
    """The first output code in (low, high] whose smallest input differs between integer and real
    arithmetic, else None.

    Both maps are non-decreasing steps, so they are equal on all inputs if and only if every step
    happens at the same input.
    """
    half = (1 << shift) >> 1
    for code in range(low + 1, high + 1):
        real = -((-(2 * code - 1) * factor.denominator) // (2 * factor.numerator))
        integer = -((half - (code << shift)) // multiplier)
        if (
            real != integer
            and min(real, integer) <= largest_input
            and max(real, integer) > -largest_input
        ):
            return code
    return None
