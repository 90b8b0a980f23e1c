"""i_layernorm: LayerNorm with an integer Newton square root, the LayerNorm of I-ViT.

After arXiv 2207.01405, section 3.5 (I-LayerNorm; the standard deviation after I-BERT,
arXiv 2101.01321, Algorithm 4). With v = (x - zero) << (channel_shift + fraction_bits) and C
channels:

    y = v - round(mean v)       V = sum y^2 + epsilon       k = sqrt(V) by Newton's iteration
    F = floor((2^31 - 1) / k)   normalised = floor(y F / 2^16), y / k in steps of 2^-15

and the result is gamma sqrt(C) y / k + beta on the output's grid. |y| <= k, so that y F fits int32
by itself: every Newton step, from any start, ends at floor(sqrt(V)) or above.

Where the paper is silent or wrong, this is decided:

* start_bits, iterations: published is k = 2^16 and 10 iterations (16, 10), which halve k at best:
  a token with V below 2^12 ends with k too large. start_bits = 0 starts at the power of two of half
  the bits of V, at most twice the root: 4 iterations reach it but for a relative 10^-7.
* The mean is rounded to whole steps. Of 8-bit codes that alone is up to half a code in every
  channel; fraction_bits finer steps for everything cost nothing but width.
* No epsilon is published, and a token of equal values divides by zero. Here epsilon is at least 1.
* gamma and beta: published is a bias floor(beta / gamma / S) before gamma becomes part of the next
  scale, which needs gamma other than 0 and one scale a channel afterwards. Here they are a constant
  multiplier and bias with one shift a channel, as in `layer_norm`.
* V needs up to 62 bits here. (The published kernels wrap at 32.)
"""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.ops.registry import register
from fullint.integer.types import INT32_HIGH, Operand, TensorType, check_zero_point

NORMALISED_BITS = 15


def infer(
    x: Operand,
    channel_shift: Operand,
    multiplier: Operand,
    bias: Operand,
    shift: Operand,
    *,
    zero_x: int,
    epsilon: int,
    fraction_bits: int,
    start_bits: int,
    iterations: int,
    zero_point: int,
    low: int,
    high: int,
) -> TensorType:
    """x (..., C), parameters (C) each; sums of v fit int32, V and Newton's steps 62 bits."""
    channels = x.shape[-1]
    for parameter in (channel_shift, multiplier, bias, shift):
        if parameter.shape != (channels,):
            raise FullintError(f"parameters of shape {parameter.shape} for {channels} channels")
    if not 1 <= epsilon < 2**40:
        raise FullintError("epsilon must lie in [1, 2^40)")
    if not 0 <= fraction_bits <= 8 or not 0 <= start_bits <= 30 or not 1 <= iterations <= 32:
        raise FullintError(
            "fraction_bits must lie in [0, 8], start_bits in [0, 30], iterations in [1, 32]"
        )
    shifts, channel_shifts = shift.values(), channel_shift.values()
    if shifts.min() < 0 or shifts.max() > 30:
        raise FullintError("shift must lie in [0, 30]")
    if channel_shifts.min() < 0 or channel_shifts.max() > 15:
        raise FullintError("channel_shift must lie in [0, 15]")
    largest_shift = int(channel_shifts.max()) + fraction_bits
    span = (max(x.type.high - zero_x, 0) - min(x.type.low - zero_x, 0)) << largest_shift
    # V is then at most (channels * span)^2 / 4 + channels + epsilon, below 2^61.
    if channels * span > INT32_HIGH:
        raise FullintError(f"sums over the channels could reach {channels * span}, beyond int32")
    rounding = (np.int64(1) << shifts) >> 1
    worst = (np.abs(multiplier.values()) << NORMALISED_BITS) + np.abs(bias.values()) + rounding
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
    fraction_bits: int,
    start_bits: int,
    iterations: int,
    zero_point: int,
    low: int,
    high: int,
) -> np.ndarray:
    """clip(round((normalised * multiplier + bias) / 2^shift) + zero_point, low, high)."""
    v = (x - zero_x) << (channel_shift + fraction_bits)
    channels = v.shape[-1]
    centred = v - (v.sum(axis=-1, keepdims=True) + channels // 2) // channels
    variance = (centred * centred).sum(axis=-1, keepdims=True) + epsilon
    root = newton_square_root(variance, start_bits, iterations)
    normalised = (centred * (INT32_HIGH // root)) >> (31 - NORMALISED_BITS)
    return np.clip(
        fixed_point.shift_right(normalised * multiplier + bias, shift) + zero_point, low, high
    )


def newton_square_root(values: np.ndarray, start_bits: int, iterations: int) -> np.ndarray:
    """k <- (k + values / k) / 2, cut off, `iterations` times, for values in [1, 2^62).

    From 2^start_bits, or, for 0, from 2^ceil(bits / 2), which is above the root and at most twice
    it. Never below floor(sqrt(values)), whatever the start.
    """
    if start_bits:
        root = np.full_like(values, 1 << start_bits)
    else:
        root = np.int64(1) << ((fixed_point.bit_length(values) + 1) >> 1)
    for _ in range(iterations):
        root = (root + values // root) >> 1
    return root


register("i_layernorm", infer=infer, compute=compute)
