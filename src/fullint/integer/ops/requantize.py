"""requantize: multiply by a constant real factor and round onto another integer grid."""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.factors import check_factor
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType, check_zero_point


def infer(
    x: Operand,
    pre_shift: Operand,
    multiplier: Operand,
    shift: Operand,
    *,
    intermediate_bits: int,
    zero_point: int,
    low: int,
    high: int,
) -> TensorType:
    """Shape of x, range [low, high]; the parameters broadcast against x."""
    for parameter in (pre_shift, multiplier, shift):
        if np.broadcast_shapes(x.shape, parameter.shape) != x.shape:
            raise FullintError(
                f"parameters of shape {parameter.shape} do not broadcast to {x.shape}"
            )
    check_factor(x.type, pre_shift, multiplier, shift, intermediate_bits)
    if intermediate_bits == 16:
        check_zero_point(2**30, zero_point)
    return TensorType(x.shape, low, high)


def compute(
    x: np.ndarray,
    pre_shift: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    *,
    intermediate_bits: int,
    zero_point: int,
    low: int,
    high: int,
) -> np.ndarray:
    """clip(fixed_point.requantize(x) + zero_point, low, high)."""
    result = fixed_point.requantize(
        x, pre_shift, multiplier, shift, intermediate_bits=intermediate_bits
    )
    return np.clip(result + zero_point, low, high)


register("requantize", infer=infer, compute=compute)
