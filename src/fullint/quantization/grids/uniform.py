"""Uniform: evenly spaced codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST_SCALE = 2.0**-40
# What is all zero has any scale. With this one the biases it meets keep their digits and fit int32.
SCALE_OF_ZERO = 2.0**-10
# Finer steps than this, against the coarsest group of the tensor, gain nothing; but a bias in steps
# of a channel that is dead, or nearly, would leave int32.
SMALLEST_SHARE = 2.0**-12


@dataclass(frozen=True)
class UniformGrid:
    """real = (code - zero_point) * scale, code in [low, high].

    Attributes:
        scale: float64, broadcasts against the tensor (a scalar, one a channel, one a head ...).
        zero_point: one integer for the whole tensor; for weights and token positions also integral
            float64, of the scale's shape.
        low, high: inclusive code range.
    """

    scale: Tensor
    zero_point: int | Tensor
    low: int
    high: int

    @property
    def common_zero_point(self) -> int:
        """The zero point of a grid that has one for all of its tensor."""
        assert isinstance(self.zero_point, int), "it has several zero points"
        return self.zero_point

    def quantize(self, values: Tensor) -> Tensor:
        """Codes, as integral floats, rounded half to even and saturated."""
        codes = torch.round(values / self.scale.to(values.dtype)) + self._zero_point(values)
        return codes.clamp(self.low, self.high)

    def integers(self, values: Tensor) -> Tensor:
        """Codes less the zero point, integral floats: real = integer * scale. What a weight stores
        and a table gives.
        """
        return self.quantize(values) - self._zero_point(values)

    def dequantize(self, codes: Tensor) -> Tensor:
        """Real values of codes."""
        return (codes - self._zero_point(codes)) * self.scale.to(codes.dtype)

    def fake_quantize(self, values: Tensor) -> Tensor:
        """The nearest values on the grid."""
        return self.dequantize(self.quantize(values))

    def _zero_point(self, like: Tensor) -> int | Tensor:
        zero_point = self.zero_point
        return zero_point.to(like.dtype) if isinstance(zero_point, Tensor) else zero_point


def uniform_grid(low: Tensor, high: Tensor, *, num_bits: int, symmetric: bool) -> UniformGrid:
    """Grid that covers [low, high], any shape, one range a group.

    Symmetric grids are signed with zero point 0; asymmetric ones are unsigned, widened to contain
    zero, which is then a code exactly. The zero point of one range is an int, of several a tensor,
    which only weights and simulations take.
    """
    low, high = low.double().clamp_max(0), high.double().clamp_min(0)
    if symmetric:
        largest = 2 ** (num_bits - 1)
        scale = usable_scale(torch.maximum(high / (largest - 1), -low / largest))
        return UniformGrid(scale, 0, -largest, largest - 1)
    levels = 2**num_bits - 1
    scale = usable_scale((high - low) / levels)
    zero_point = torch.round(-low / scale).clamp(0, levels)
    whole = int(zero_point) if zero_point.ndim == 0 else zero_point
    return UniformGrid(scale, whole, 0, levels)


def usable_scale(scale: Tensor) -> Tensor:
    """Scales with those of ranges that are (nearly) a point made larger."""
    largest = float(scale.max())
    if largest == 0:
        return torch.full_like(scale, SCALE_OF_ZERO)
    return scale.clamp_min(max(largest * SMALLEST_SHARE, SMALLEST_SCALE))
