"""Fixed-point arithmetic that operations share. All arrays are int64; every error is stated.

Rounding is always to nearest, halves towards plus infinity: ``(x + 2^(s-1)) >> s``, one addition
and one arithmetic shift on every machine.
"""

from __future__ import annotations

import numpy as np

# 2^-f on [0, 1) by 1 - f(a - bf): the least largest relative error, 0.22 %, of those exact at 0.
EXP2_SLOPE = 0.67242
EXP2_CURVATURE = 0.17353

MULTIPLIER_BITS = 15


def shift_right(values: np.ndarray, shift: np.ndarray | int) -> np.ndarray:
    """Rounded division by 2^shift, shift >= 0: at most half a step from exact."""
    shift = np.asarray(shift, dtype=np.int64)
    return (values + ((np.int64(1) << shift) >> 1)) >> shift


def requantize(
    values: np.ndarray,
    pre_shift: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    *,
    intermediate_bits: int,
) -> np.ndarray:
    """THE definition of multiplying an integer by a real factor.

    The factor is f = multiplier * 2^-(pre_shift + shift):

        h = saturate(round(values / 2^pre_shift), intermediate_bits)
        result = round(h * multiplier / 2^shift)

    Unless h saturates, the result is within (1 + 2^pre_shift f) / 2 of the exact product, and
    within 1/2 where pre_shift = 0. With intermediate_bits = 16 and a multiplier below 2^15
    everything fits int32 (the fast form; two 16-bit multiplications an instruction on every vector
    unit). With 32, pre_shift = 0 and a multiplier below 2^31, it is exact real arithmetic rounded
    once wherever the multiplier was chosen so (lowering.requantization).
    """
    limit = np.int64(1) << (intermediate_bits - 1)
    intermediate = np.clip(shift_right(values, pre_shift), -limit, limit - 1)
    return shift_right(intermediate * multiplier, shift)


def bit_length(values: np.ndarray) -> np.ndarray:
    """Bits needed for each value: 0 for 0, floor(log2 v) + 1 above. Values in [0, 2^62]."""
    values = np.asarray(values, dtype=np.int64)
    result = np.zeros_like(values)
    rest = values.copy()
    for step in (32, 16, 8, 4, 2, 1):
        large = rest >> step > 0
        result += np.where(large, step, 0)
        rest = np.where(large, rest >> step, rest)
    return result + (rest > 0)


def integer_square_root(values: np.ndarray) -> np.ndarray:
    """floor(sqrt(v)) for v in [0, 2^62]: a float64 estimate, corrected in integers, so exact."""
    root = np.floor(np.sqrt(values.astype(np.float64))).astype(np.int64)
    root -= root * root > values
    root += (root + 1) * (root + 1) <= values
    return root


def reciprocal(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1/v as mantissa * 2^-exponent, for v in [1, 2^40].

    The mantissa is floor(2^exponent / v), from 2^14 to 2^15 - 1: at most 2^-14 below exact,
    relatively.
    """
    # v = 2^k gives exactly 2^14; the -1 puts every other v of that bit length into [2^14, 2^15).
    exponent = MULTIPLIER_BITS - 1 + bit_length(values - 1)
    mantissa = (np.int64(1) << exponent) // values
    return mantissa, exponent


def reciprocal_square_root(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1/sqrt(v) as mantissa * 2^-exponent, for v in [1, 2^62].

    v is first brought to m * 4^j with m in [2^30, 2^32), cut off below; the mantissa is
    floor(2^30 / sqrt(m)), at least 2^14, and 2^15 - 1 where that is 2^15. At most 2^-13.9 from
    exact, relatively.
    """
    half_shift = (bit_length(values) - 31) >> 1
    normalised = np.where(
        half_shift >= 0,
        values >> np.maximum(2 * half_shift, 0),
        values << np.maximum(-2 * half_shift, 0),
    )
    mantissa = integer_square_root((np.int64(1) << 60) // normalised)
    return np.minimum(mantissa, (1 << MULTIPLIER_BITS) - 1), 30 + half_shift


def exp2_mantissa(fraction: np.ndarray, amplitude: int) -> np.ndarray:
    """amplitude * 2^-(fraction / 2^16), for fraction in [0, 2^16) and an amplitude below 2^16.

    Second order, as FQ-ViT's i-exp (arXiv 2111.13824, after I-BERT), but in base 2, where the range
    reduction is a shift and a mask instead of a division. Two 16-bit high multiplications; relative
    error below 0.3 % (+ 2 steps).
    """
    slope, curvature = round(amplitude * EXP2_SLOPE), round(amplitude * EXP2_CURVATURE)
    return amplitude - ((fraction * (slope - ((fraction * curvature) >> 16))) >> 16)


def log2_fixed(values: np.ndarray, fraction_bits: int) -> np.ndarray:
    """floor(log2(v) * 2^fraction_bits), or one less, for v in [1, 2^31): one squaring a bit."""
    whole = bit_length(values) - 1
    mantissa = values << (30 - whole)
    result = whole
    for _ in range(fraction_bits):
        square = (mantissa * mantissa) >> 30
        carry = square >> 31
        mantissa = square >> carry
        result = 2 * result + carry
    return result


def fraction_bits_for_normalised(channels: int) -> int:
    """Fraction bits with which a normalised value, at most sqrt(channels - 1), fits 16 bits."""
    half_bits = ((channels - 1).bit_length() + 1) // 2  # ceil(log2(channels) / 2)
    return 14 - half_bits
