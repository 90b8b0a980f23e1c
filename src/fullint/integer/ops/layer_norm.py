"""layer_norm: LayerNorm in integers, exact statistics, power-of-two factors a channel.

After FQ-ViT (arXiv 2111.13824, eq. 9 to 12). With v = (x - zero) << channel_shift and C channels,
the normalised value is

    (C v - sum v) / sqrt(C sum v^2 - (sum v)^2 + epsilon)

with no mean, no division by C, both sums exact. The token's reciprocal square root is one 15-bit
number, found once a token; gamma enters as a constant 15-bit factor and beta as a constant term, so
nothing is divided a channel (the published code forms gamma / sigma in float, takes its logarithm
for every token and channel, and rounds it down to 8 bits). Epsilon is part of the root, as in the
float model, and at least one step, so a constant token gives beta and not NaN.
"""

from __future__ import annotations

import math

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.ops.registry import register
from fullint.integer.types import INT32_HIGH, Operand, TensorType, check_zero_point


def infer(
    x: Operand,
    channel_shift: Operand,
    multiplier: Operand,
    bias: Operand,
    shift: Operand,
    *,
    zero_x: int,
    epsilon: int,
    zero_point: int,
    low: int,
    high: int,
) -> TensorType:
    """x (..., C), parameters (C) each; bounds every intermediate (see `compute`)."""
    channels = x.shape[-1]
    for parameter in (channel_shift, multiplier, bias, shift):
        if parameter.shape != (channels,):
            raise FullintError(f"parameters of shape {parameter.shape} for {channels} channels")
    if not 1 <= epsilon < 2**40:
        raise FullintError("epsilon must lie in [1, 2^40)")
    shifts, channel_shifts = shift.values(), channel_shift.values()
    if shifts.min() < 0 or shifts.max() > 30:
        raise FullintError("shift must lie in [0, 30]")
    if channel_shifts.min() < 0 or channel_shifts.max() > 15:
        raise FullintError("channel_shift must lie in [0, 15]")
    largest_shift = int(channel_shifts.max())
    span = (max(x.type.high - zero_x, 0) - min(x.type.low - zero_x, 0)) << largest_shift
    if channels * span > INT32_HIGH:
        raise FullintError(f"centred values could reach {channels * span}, beyond int32")
    normalised = largest_normalised(channels)
    rounding = (np.int64(1) << shifts) >> 1
    worst = np.abs(multiplier.values()) * normalised + np.abs(bias.values()) + rounding
    if np.abs(multiplier.values()).max() >= 2**15 or worst.max() > INT32_HIGH:
        raise FullintError(f"the affine stage could reach {int(worst.max())}, beyond int32")
    check_zero_point(int((worst >> shifts).max()), zero_point)
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
    zero_point: int,
    low: int,
    high: int,
) -> np.ndarray:
    """clip(round((normalised * multiplier + bias) / 2^shift) + zero_point, low, high)."""
    normalised = normalise((x - zero_x) << channel_shift, epsilon)
    return np.clip(
        fixed_point.shift_right(normalised * multiplier + bias, shift) + zero_point, low, high
    )


def normalise(v: np.ndarray, epsilon: int) -> np.ndarray:
    """(v - mean) / sqrt(variance + epsilon / C^2) over the last axis.

    In fixed point with `fraction_bits_for_normalised` fraction bits.
    At most one step and 2^-14 of its size from exact: the root is exact to 2^-14, and two roundings
    follow. |C v - sum v| <= sqrt((C - 1) root), so after the shift the numerator fits 16 bits by
    construction; the clip only meets the rounding of the largest value.
    """
    channels = v.shape[-1]
    total = v.sum(axis=-1, keepdims=True)
    variance = channels * (v * v).sum(axis=-1, keepdims=True) - total * total
    mantissa, exponent = fixed_point.reciprocal_square_root(variance + epsilon)
    right = exponent - fixed_point.fraction_bits_for_normalised(channels) - 15
    centred = channels * v - total
    numerator = fixed_point.shift_right(centred << np.maximum(-right, 0), np.maximum(right, 0))
    return fixed_point.shift_right(np.clip(numerator, -(2**15) + 1, 2**15 - 1) * mantissa, 15)


def largest_normalised(channels: int) -> int:
    """Bound on |normalise(...)|: one value far from all others reaches sqrt(channels - 1)."""
    return (
        math.isqrt((channels - 1) << (2 * fixed_point.fraction_bits_for_normalised(channels))) + 2
    )


register("layer_norm", infer=infer, compute=compute)
