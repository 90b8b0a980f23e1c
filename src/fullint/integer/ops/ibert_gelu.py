"""ibert_gelu: GELU through a parabola for erf, the GELU of I-BERT.

After arXiv 2101.01321, eq. 8 and Algorithm 2 (i-GELU): erf(u) = sgn(u) (1 - 0.2888 (min(|u|, 1.769)
- 1.769)^2), GELU(x) = x (1 + erf(x / sqrt(2))) / 2; at most 0.018 from GELU. With u in steps of
2^-s the coefficients are two integers, `edge` = 1.769 * 2^s and `unit` = 2^2s / 0.2888:

    gate = (unit + sgn(u) (unit - (edge - min(|u|, edge))^2)) >> gate_shift

in steps of 2^gate_shift / (2 unit), and the result is x times the gate.

Where the paper is silent or wrong, this is decided:

* Input scale: published are coefficients in steps of the input's own scale, cut off (of a scale of
  0.05 that is 2 % of them). Here u comes from x by a constant factor, in steps fine enough (2^-10).
* The published code drops 14 bits of the gate whatever its scale, which for 8-bit inputs are all of
  them. Here it is `gate_shift`, chosen for the width of the product, and cut off as published.
* sgn(0) is 0.
* The parabola does not meet the origin: erf jumps by 0.19 there; GELU, times x, does not.
"""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.factors import check_factor
from fullint.integer.gated import check_codes, check_gated, check_scalars, gated
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType


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
    edge: int,
    unit: int,
    gate_shift: int,
    zero_point: int,
    low: int,
    high: int,
) -> TensorType:
    """x (..., C) as numbers (x - zero_x), factors of one element each; results low..high.

    edge < 2^15, so that its square is below 2^30; 2 unit < 2^30, |x - zero_x| < 2^16.
    """
    if not 1 <= edge < 2**15 or not edge * edge <= 2 * unit or not unit < 2**29:
        raise FullintError("edge must lie in [1, 2^15), unit in [edge^2 / 2, 2^29)")
    if not 0 <= gate_shift <= 29:
        raise FullintError("gate_shift must lie in [0, 29]")
    largest = max(abs(x.type.low - zero_x), abs(x.type.high - zero_x), 1)
    if largest >= 2**16:
        raise FullintError(f"inputs reach {largest} from their zero point, more than 16 bits")
    check_scalars((pre_shift, multiplier, shift))
    check_factor(TensorType(x.shape, -largest, largest), pre_shift, multiplier, shift, 16)
    output = (output_pre_shift, output_multiplier, output_shift)
    check_gated(x, output, zero_x, (2 * unit) >> gate_shift)
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
    edge: int,
    unit: int,
    gate_shift: int,
    zero_point: int,
    low: int,
    high: int,
) -> np.ndarray:
    """clip(round((x - zero_x) * gate * factor) + zero_point, low, high).

    The gate is never below 0, as (edge - |u|)^2 is at most edge^2 <= 2 unit.
    """
    centred = x - zero_x
    size = fixed_point.requantize(
        np.abs(centred), pre_shift, multiplier, shift, intermediate_bits=16
    )
    missing = edge - np.minimum(size, edge)
    gate = (unit + np.sign(centred) * (unit - missing * missing)) >> gate_shift
    output = (output_pre_shift, output_multiplier, output_shift)
    return gated(centred, gate, output, zero_point, low, high)


register("ibert_gelu", infer=infer, compute=compute)
