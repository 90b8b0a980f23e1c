"""Number grids: what a quantizer has decided. A grid rounds tensors in float simulation and tells
lowering its integers.
"""

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
        zero_point: one integer for the whole tensor.
        low, high: inclusive code range.
    """

    scale: Tensor
    zero_point: int
    low: int
    high: int

    def quantize(self, values: Tensor) -> Tensor:
        """Codes, as integral floats, rounded half to even and saturated."""
        codes = torch.round(values / self.scale.to(values.dtype)) + self.zero_point
        return codes.clamp(self.low, self.high)

    def dequantize(self, codes: Tensor) -> Tensor:
        """Real values of codes."""
        return (codes - self.zero_point) * self.scale.to(codes.dtype)

    def fake_quantize(self, values: Tensor) -> Tensor:
        """The nearest values on the grid."""
        return self.dequantize(self.quantize(values))


@dataclass(frozen=True)
class Log2Grid:
    """Attention weights 2^-code, code in 0..15 (FQ-ViT, arXiv 2111.13824, eq. 13), exactly sixteen
    values.

    Attributes:
        rounding: added to -log2(x) before it is cut off, in 1/1024: 512 rounds in the exponent, as
            the paper.
    """

    rounding: int = 512
    largest_code: int = 15

    def fake_quantize(self, values: Tensor) -> Tensor:
        """2^-code of each weight in [0, 1]."""
        exponent = -torch.log2(values.clamp_min(2.0**-40))
        codes = torch.floor(exponent + self.rounding / 1024).clamp(0, self.largest_code)
        return torch.exp2(-codes)


@dataclass(frozen=True)
class RowRelativeGrid:
    """Attention weights as uint8 shares of their row's largest, renormalised by the sum of the
    codes themselves.
    """

    high: int = 255

    def fake_quantize(self, values: Tensor) -> Tensor:
        """The weights that `exponentials` and `weighted_average` apply."""
        codes = torch.round(values * (self.high / values.amax(dim=-1, keepdim=True)))
        return codes / codes.sum(dim=-1, keepdim=True)


Grid = UniformGrid | Log2Grid | RowRelativeGrid


def uniform_grid(low: Tensor, high: Tensor, *, num_bits: int, symmetric: bool) -> UniformGrid:
    """Grid that covers [low, high].

    Symmetric grids are signed with zero point 0, and per group (any shape of low and high);
    asymmetric ones are unsigned, for one range only, widened to contain zero, which is then a code
    exactly.
    """
    low, high = low.double().clamp_max(0), high.double().clamp_min(0)
    if symmetric:
        largest = 2 ** (num_bits - 1)
        scale = _usable(torch.maximum(high / (largest - 1), -low / largest))
        return UniformGrid(scale, 0, -largest, largest - 1)
    levels = 2**num_bits - 1
    scale = _usable((high - low) / levels)
    zero_point = int(torch.round(-low / scale).clamp(0, levels))
    return UniformGrid(scale, zero_point, 0, levels)


def _usable(scale: Tensor) -> Tensor:
    """Scales with those of ranges that are (nearly) a point made larger."""
    largest = float(scale.max())
    if largest == 0:
        return torch.full_like(scale, SCALE_OF_ZERO)
    return scale.clamp_min(max(largest * SMALLEST_SHARE, SMALLEST_SCALE))
