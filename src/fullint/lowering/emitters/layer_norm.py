"""LayerNorm: power-of-two channel scales become shifts; gamma, beta and the output's scale become
constants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.fixed_point import fraction_bits_for_normalised
from fullint.integer.ops.ailayernorm import (
    BIAS_LIMIT,
    MULTIPLIER_LIMIT,
    SMALLEST_EPSILON,
    fraction_bits,
)
from fullint.integer.ops.ailayernorm import LARGEST_EPSILON as LARGEST_NARROW_EPSILON
from fullint.integer.ops.ailayernorm import LARGEST_SHIFT as NARROW_SHIFT
from fullint.integer.ops.i_layernorm import NORMALISED_BITS
from fullint.integer.ops.layer_norm import largest_normalised
from fullint.integer.types import INT32_HIGH
from fullint.lowering.context import grid_scale
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding
from fullint.recipes.operations import AILayerNorm, ILayerNorm

LARGEST_SHIFT = 30
LARGEST_EPSILON = 2**40 - 1  # what layer_norm and i_layernorm take
TOO_LARGE = "its gain or offset is too large for its output's grid"
Affine = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]]


@register(normal_form.layer_norm)
def emit_layer_norm(emission: Emission) -> Encoding:
    """layer_norm, i_layernorm or ailayernorm, as the recipe asks, straight onto the output's
    grid.
    """
    node, gamma_node, beta_node, epsilon = emission.arguments
    x, grid = emission.numbers(node), emission.uniform_grid()
    gamma, beta = emission.constant(gamma_node), emission.constant(beta_node)
    step, channel_shift = _power_of_two_factors(x, len(gamma))
    scale = grid_scale(grid, emission.rank)
    output_scale = np.broadcast_to(scale.reshape(-1), gamma.shape)
    chosen = _choose(emission, x, channel_shift, float(epsilon) / step**2)
    constants = chosen.affine(gamma / output_scale, beta / output_scale)
    names = ("channel_shift", "multiplier", "bias", "shift")
    emission.emit(
        chosen.kind,
        [x.name, *map(emission.add_constant, names, (channel_shift, *constants))],
        emission.name,
        **chosen.attributes,
        zero_x=x.zero_point,
        zero_point=grid.common_zero_point,
        low=grid.low,
        high=grid.high,
    )
    return Encoding(emission.name, scale, grid.common_zero_point)


@dataclass(frozen=True)
class _Choice:
    """Which operation, the attributes that are its own, and how it takes gain and offset."""

    kind: str
    attributes: dict[str, int]
    affine: Affine


def _choose(emission: Emission, x: Encoding, channel_shift: np.ndarray, epsilon: float) -> _Choice:
    """epsilon: in squared steps of the finest channel."""
    channels = len(channel_shift)
    match emission.graph.recipe.layer_norm:
        case AILayerNorm(ranges=ranges):
            units = min(max(round(16 * epsilon), SMALLEST_EPSILON), LARGEST_NARROW_EPSILON)
            return _Choice("ailayernorm", {"epsilon": units, "ranges": ranges}, narrow_constants)
        case ILayerNorm() as config:
            x_type = emission.builder.types[x.name]
            span = max(x_type.high, x.zero_point) - min(x_type.low, x.zero_point)
            room = (INT32_HIGH // (channels * span << int(channel_shift.max()))).bit_length() - 1
            fraction_bits = max(min(config.fraction_bits, room), 0)
            attributes = {
                "epsilon": _whole(epsilon * channels * 4**fraction_bits),
                "fraction_bits": fraction_bits,
                "start_bits": config.start_bits,
                "iterations": config.iterations,
            }
            return _Choice("i_layernorm", attributes, root_constants)
    return _Choice("layer_norm", {"epsilon": _whole(epsilon * channels**2)}, exact_constants)


def _whole(epsilon: float) -> int:
    return min(max(1, round(epsilon)), LARGEST_EPSILON)


def _power_of_two_factors(x: Encoding, channels: int) -> tuple[float, np.ndarray]:
    """The smallest scale, and for each channel the exponent of its scale over that one."""
    if x.scale.size not in (1, channels) or x.scale.shape[-1] != x.scale.size:
        raise FullintError(f"the scale of '{x.name}' differs along other axes than its channels")
    scale = np.broadcast_to(x.scale.reshape(-1), (channels,))
    step = float(scale.min())
    exponents = np.rint(np.log2(scale / step)).astype(np.int64)
    if not np.allclose(scale, step * np.exp2(exponents), rtol=1e-6):
        raise FullintError(f"the channel scales of '{x.name}' are not powers of two of each other")
    return step, exponents


def exact_constants(gain: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of `layer_norm`."""
    channels = len(gain)
    return affine_constants(
        gain, offset, fraction_bits_for_normalised(channels), largest_normalised(channels)
    )


def root_constants(gain: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of `i_layernorm`, whose normalised values lack the root of the number of channels."""
    largest = 1 << NORMALISED_BITS
    return affine_constants(gain * len(gain) ** 0.5, offset, NORMALISED_BITS, largest)


def narrow_constants(gain: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of `ailayernorm`: 8-bit multipliers, biases, and the largest shift that all have room for."""
    fraction = fraction_bits(len(gain))
    for shift in range(NARROW_SHIFT, -1, -1):
        multiplier = np.rint(np.ldexp(gain, shift - fraction)).astype(np.int64)
        bias = np.rint(np.ldexp(offset, shift)).astype(np.int64)
        if np.abs(multiplier).max() < MULTIPLIER_LIMIT and np.abs(bias).max() < BIAS_LIMIT:
            return multiplier, bias, np.full(len(gain), shift)
    raise FullintError(TOO_LARGE)


def affine_constants(
    gain: np.ndarray, offset: np.ndarray, fraction: int, largest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """15-bit multipliers, biases and shifts for gain * normalised + offset, in output steps, per
    channel; normalised values have `fraction` fraction bits and are at most `largest` as integers.

    The largest shift for which neither the multiplier leaves 15 bits nor the sum int32. A gain of
    exactly 0 gives multiplier 0: the channel is its offset.
    """
    shift = np.full(len(gain), LARGEST_SHIFT)
    while True:
        multiplier = np.rint(np.ldexp(gain, shift - fraction))
        bias = np.rint(np.ldexp(offset, shift))
        worst = np.abs(multiplier) * largest + np.abs(bias) + np.ldexp(0.5, shift)
        too_large = (np.abs(multiplier) >= 2**15) | (worst > INT32_HIGH)
        if (too_large & (shift == 0)).any():
            raise FullintError(TOO_LARGE)
        if not too_large.any():
            return multiplier.astype(np.int64), bias.astype(np.int64), shift
        shift = shift - too_large
