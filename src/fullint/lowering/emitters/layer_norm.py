"""LayerNorm: power-of-two channel scales become shifts; gamma, beta and the output's scale become
constants.
"""

from __future__ import annotations

import numpy as np

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.fixed_point import fraction_bits_for_normalised
from fullint.integer.ops.layer_norm import largest_normalised
from fullint.integer.types import INT32_HIGH
from fullint.lowering.context import grid_scale
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding

LARGEST_SHIFT = 30
LARGEST_EPSILON = 2**40 - 1  # what the operation takes


@register(normal_form.layer_norm)
def emit_layer_norm(emission: Emission) -> Encoding:
    """layer_norm straight onto the output's grid."""
    node, gamma_node, beta_node, epsilon = emission.arguments
    x, grid = emission.numbers(node), emission.uniform_grid()
    gamma, beta = emission.constant(gamma_node), emission.constant(beta_node)
    channels = len(gamma)
    step, channel_shift = _power_of_two_factors(x, channels)
    scale = grid_scale(grid, emission.rank)
    output_scale = np.broadcast_to(scale.reshape(-1), (channels,))
    multiplier, bias, shift = affine_constants(gamma / output_scale, beta / output_scale)
    inputs = [
        x.name,
        emission.add_constant("channel_shift", channel_shift),
        emission.add_constant("multiplier", multiplier),
        emission.add_constant("bias", bias),
        emission.add_constant("shift", shift),
    ]
    emission.emit(
        "layer_norm",
        inputs,
        emission.name,
        zero_x=x.zero_point,
        epsilon=min(max(1, round(float(epsilon) * channels**2 / step**2)), LARGEST_EPSILON),
        zero_point=grid.common_zero_point,
        low=grid.low,
        high=grid.high,
    )
    return Encoding(emission.name, scale, grid.common_zero_point)


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


def affine_constants(
    gain: np.ndarray, offset: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """15-bit multipliers, biases and shifts for gain * normalised + offset, in output steps, per
    channel.

    The largest shift for which neither the multiplier leaves 15 bits nor the sum int32. A gain of
    exactly 0 gives multiplier 0: the channel is its offset.
    """
    channels = len(gain)
    fraction = fraction_bits_for_normalised(channels)
    largest = largest_normalised(channels)
    shift = np.full(channels, LARGEST_SHIFT)
    while True:
        multiplier = np.rint(np.ldexp(gain, shift - fraction))
        bias = np.rint(np.ldexp(offset, shift))
        worst = np.abs(multiplier) * largest + np.abs(bias) + np.ldexp(0.5, shift)
        too_large = (np.abs(multiplier) >= 2**15) | (worst > INT32_HIGH)
        if (too_large & (shift == 0)).any():
            raise FullintError("its gain or offset is too large for its output's grid")
        if not too_large.any():
            return multiplier.astype(np.int64), bias.astype(np.int64), shift
        shift = shift - too_large
