"""ailayernorm: LayerNorm on 8-bit inputs with 4-bit squares, the LayerNorm of SOLE.

After arXiv 2510.17189, Algorithm 2 (AILayerNorm). The statistics are what is
approximate: |x| is compressed to 4 bits before it is squared, so a square is a table of 16 entries
and two shifts, and 1 / sqrt(variance) comes from a table. Power-of-two channel factors (PTF) enter
as shifts. With X = x - zero and C channels:

    E  = sum X << a            E2 = sum Compress(|X|)^2 << 2 a
    mean = E / C               variance = E2 / C - mean^2
    y  = gamma ((X << a) - mean) / sqrt(variance) + beta

Where the paper is silent or wrong, this is decided:

* Compress takes an unsigned number, but X is signed: it is the magnitude that is compressed.
* Small codes: the paper's two ranges (steps of 4 below 64, of 16 above) round |X| < 2 to nothing
  and overestimate the squares of narrow channels, by 22 % for codes of deviation 5. A third range
  (steps of 1 below 16: ranges = 3) costs one comparison and one shift place a lane.
* The mean has two fraction bits. Division by C is a multiplication by its 15-bit reciprocal.
* Variance: at least zero (the compressed squares may add up to less than the mean's square) plus
  epsilon, which is at least one step: below that nothing is resolved. The paper has no epsilon.
* Table for 1/sqrt: 96 entries of 8 bits, at most 1 % from exact.
* Width of the normalised value: 11 bits, 12 before the mantissa. gamma: 8-bit multipliers with one
  shift for all channels.
"""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.fixed_point import shift_right
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType

LARGEST_CHANNEL_SHIFT = 3
MEAN_FRACTION_BITS = 2
NORMALISED_LIMIT = 2**11 - 1  # of the numerator, which a mantissa from 1/2 to 1 then multiplies
MULTIPLIER_LIMIT = 2**7
BIAS_LIMIT = 2**18
LARGEST_SHIFT = 15
SMALLEST_EPSILON = 1 << 2 * MEAN_FRACTION_BITS
LARGEST_EPSILON = 2**30 - 1
# 2^11 / sqrt(2 i + 1) for i = 32..127: the middle of [2 i, 2 i + 2) in every entry, 128 to 254.
ROOT_TABLE = np.rint(2**11 / np.sqrt(2 * np.arange(32, 128) + 1)).astype(np.int64)


def infer(
    x: Operand,
    channel_shift: Operand,
    multiplier: Operand,
    bias: Operand,
    shift: Operand,
    *,
    zero_x: int,
    epsilon: int,
    ranges: int,
    zero_point: int,
    low: int,
    high: int,
) -> TensorType:
    """x (..., C) of at most 8 bits, parameters (C) each; results clipped to low..high, 8 bits."""
    channels = x.shape[-1]
    if channels >= 2**14:
        raise FullintError(f"{channels} channels, more than {2**14 - 1}")
    for parameter in (channel_shift, multiplier, bias, shift):
        if parameter.shape != (channels,):
            raise FullintError(f"parameters of shape {parameter.shape} for {channels} channels")
    if max(abs(x.type.low - zero_x), abs(x.type.high - zero_x)) > 255:
        raise FullintError("ailayernorm takes inputs at most 255 from their zero point")
    _check_within("channel_shift", channel_shift, 0, LARGEST_CHANNEL_SHIFT)
    _check_within("multiplier", multiplier, 1 - MULTIPLIER_LIMIT, MULTIPLIER_LIMIT - 1)
    _check_within("bias", bias, 1 - BIAS_LIMIT, BIAS_LIMIT - 1)
    _check_within("shift", shift, 0, LARGEST_SHIFT)
    if np.ptp(shift.values()) != 0:
        raise FullintError("shift must be the same for all channels")
    if not SMALLEST_EPSILON <= epsilon <= LARGEST_EPSILON:
        raise FullintError(f"epsilon must lie in [{SMALLEST_EPSILON}, 2^30)")
    if ranges not in (2, 3):
        raise FullintError("ranges is 2, as published, or 3")
    if high - low > 255 or not low <= zero_point <= high:
        raise FullintError("results are 8-bit codes that include their zero point")
    return TensorType(x.shape, low, high)


def compute(
    x: np.ndarray,
    channel_shift: np.ndarray,
    multiplier: np.ndarray,
    bias: np.ndarray,
    shift: np.ndarray,
    *,
    zero_x: int,
    epsilon: int,
    ranges: int,
    zero_point: int,
    low: int,
    high: int,
) -> np.ndarray:
    """clip(round((normalised * multiplier + bias) / 2^shift) + zero_point, low, high).

    epsilon is in units of the variance, 1/16 of a squared step of the finest channels.
    """
    mean, variance = statistics(x - zero_x, channel_shift, ranges)
    mantissa, exponent = reciprocal_square_root(variance + epsilon)
    centred = ((x - zero_x) << (channel_shift + MEAN_FRACTION_BITS)) - mean
    right = exponent - 8 - fraction_bits(x.shape[-1])
    numerator = shift_right(centred << np.maximum(-right, 0), np.maximum(right, 0))
    normalised = shift_right(np.clip(numerator, -NORMALISED_LIMIT, NORMALISED_LIMIT) * mantissa, 8)
    return np.clip(shift_right(normalised * multiplier + bias, shift) + zero_point, low, high)


def statistics(
    centred: np.ndarray, channel_shift: np.ndarray, ranges: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean in steps of 1/4 and variance in steps of 1/16, of codes in [-255, 255]; (..., 1) each.

    The mean fits 14 bits. |E| <= 2040 C fits 25; E2 fits 22 bits more than C has.
    """
    total = (centred << channel_shift).sum(axis=-1, keepdims=True)
    squares = compressed_square(np.abs(centred), ranges) << 2 * channel_shift
    mantissa, exponent = fixed_point.reciprocal(np.array(centred.shape[-1]))
    mean = shift_right(total * mantissa, exponent - MEAN_FRACTION_BITS)
    second = shift_right(
        squares.sum(axis=-1, keepdims=True) * mantissa, exponent - 2 * MEAN_FRACTION_BITS
    )
    return mean, np.maximum(second - mean * mean, 0)


def compressed_square(magnitude: np.ndarray, ranges: int) -> np.ndarray:
    """The square of a magnitude of 8 bits, rounded to 4 bits of a step of 16, 4 or (3 ranges) 1."""
    step_bits = np.where(magnitude >= 64, 4, 2)
    if ranges == 3:
        step_bits = np.where(magnitude >= 16, step_bits, 0)
    compressed = np.minimum(shift_right(magnitude, step_bits), 15)
    return (compressed * compressed) << 2 * step_bits


def reciprocal_square_root(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1/sqrt(v) as mantissa * 2^-exponent for v in [16, 2^40): an 8-bit mantissa, at least 128."""
    half = (fixed_point.bit_length(values) - 7) >> 1
    shifted = np.where(half < 0, values << 1, values >> np.maximum(2 * half + 1, 0))
    return ROOT_TABLE[shifted - 32], 11 + half


def fraction_bits(channels: int) -> int:
    """Fraction bits with which a normalised value, at most sqrt(channels - 1), fits 11 bits."""
    return fixed_point.fraction_bits_for_normalised(channels) - 4


def _check_within(name: str, parameter: Operand, low: int, high: int) -> None:
    values = parameter.values()
    if values.min() < low or values.max() > high:
        raise FullintError(f"{name} must lie in [{low}, {high}]")


register("ailayernorm", infer=infer, compute=compute)
