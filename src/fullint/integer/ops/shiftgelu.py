"""shiftgelu: GELU as x sigmoid(1.702 x) with exponentials by shifts, the GELU of I-ViT.

After arXiv 2207.01405, Algorithm 2 (ShiftGELU): sigmoid(y) = E / (E + E0) with E = ShiftExp(y - m),
E0 = ShiftExp(-m) and F = floor((2^31 - 1) / (E + E0)), the gate floor(E F / 2^(31 - k)) in steps of
2^-k, the result x times the gate. E F fits 31 bits by itself, as E is not above the sum.

Where the paper is silent or wrong, this is decided:

* m: published is the token's largest y (row_maximum = 1), here at least 0. Beyond n octaves below
  it (23 octaves: x = 9.4) E and E0 both reach their smallest value, so that a gate that should be 0
  is 1/2. With m = max(y, 0), the element's own (row_maximum = 0), one of E and E0 is 2^n exactly,
  no maximum is sought, and equal inputs have equal results: a table can hold them.
* n = 23, as published, leaves F = 2^31 / (E + E0), cut off, 8 to 15 of its values where E or E0 is
  the largest of its token. With row_maximum = 0 every sum is that large, and 2^-n is only the
  smallest gate: n = 10 with 5 fraction bits keep 15 bits of F.
* Input scale: 1.702 x is brought to steps of 2^-fraction_bits nats (natural = 1) or octaves (0), so
  that the division by x0 is a shift.
* rounding = 0 cuts the gate off as published, which leaves 127/128 of every large x; 1 rounds it.
* The product is rounded once onto the output's grid.
"""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.factors import check_factor
from fullint.integer.gated import check_codes, check_gated, check_scalars, gated
from fullint.integer.ops.registry import register
from fullint.integer.shift_exponential import in_octaves, shift_exponential
from fullint.integer.softmax_parts import LARGEST_DISTANCE
from fullint.integer.types import INT32_HIGH, Operand, TensorType


def infer(
    x: Operand,
    pre_shift: Operand,
    multiplier: Operand,
    shift: Operand,
    output_pre_shift: Operand,
    output_multiplier: Operand,
    output_shift: Operand,
    *,
    zero_x: int,
    fraction_bits: int,
    octaves: int,
    natural: int,
    rounding: int,
    row_maximum: int,
    gate_bits: int,
    zero_point: int,
    low: int,
    high: int,
) -> TensorType:
    """x (..., C) as numbers (x - zero_x), factors of one element each; results low..high.

    Exponentials are at most 2^(fraction_bits + octaves), which may be 2^29; two of them sum to at
    most 2^30. |x - zero_x| is below 2^16, x times the gate fits int32.
    """
    if not 0 <= fraction_bits <= 10 or not 1 <= octaves <= 24 or fraction_bits + octaves > 29:
        raise FullintError(
            "fraction_bits must lie in [0, 10], octaves in [1, 24], and both add up to at most 29"
        )
    if any(flag not in (0, 1) for flag in (natural, rounding, row_maximum)):
        raise FullintError("natural, rounding and row_maximum are 0 or 1")
    if not 4 <= gate_bits <= 15:
        raise FullintError("gate_bits must lie in [4, 15]")
    span = max(x.type.high, zero_x) - min(x.type.low, zero_x)
    if span >= 2**16:
        raise FullintError(f"inputs and their zero point span {span}, more than 16 bits")
    check_scalars((pre_shift, multiplier, shift))
    check_factor(TensorType(x.shape, 0, span), pre_shift, multiplier, shift, 16)
    check_gated(x, (output_pre_shift, output_multiplier, output_shift), zero_x, 1 << gate_bits)
    check_codes(zero_point, low, high)
    return TensorType(x.shape, low, high)


def compute(
    x: np.ndarray,
    pre_shift: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    output_pre_shift: np.ndarray,
    output_multiplier: np.ndarray,
    output_shift: np.ndarray,
    *,
    zero_x: int,
    fraction_bits: int,
    octaves: int,
    natural: int,
    rounding: int,
    row_maximum: int,
    gate_bits: int,
    zero_point: int,
    low: int,
    high: int,
) -> np.ndarray:
    """clip(round((x - zero_x) * gate * factor) + zero_point, low, high)."""
    centred = x - zero_x
    largest = np.maximum(centred.max(axis=-1, keepdims=True) if row_maximum else centred, 0)

    def exponential(below: np.ndarray) -> np.ndarray:
        scaled = fixed_point.requantize(below, pre_shift, multiplier, shift, intermediate_bits=16)
        distances = np.minimum(scaled, LARGEST_DISTANCE)
        return shift_exponential(in_octaves(distances, natural), fraction_bits, octaves)

    own, zero = exponential(largest - centred), exponential(largest)
    factor = INT32_HIGH // (own + zero)
    gate = (own * factor + (rounding << (30 - gate_bits))) >> (31 - gate_bits)
    output = (output_pre_shift, output_multiplier, output_shift)
    return gated(centred, gate, output, zero_point, low, high)


register("shiftgelu", infer=infer, compute=compute)
