"""What integer GELUs share: x times a gate in [0, 1], rounded once onto the output's grid."""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.factors import check_factor
from fullint.integer.types import INT32_HIGH, Operand, TensorType, check_zero_point


def check_gated(
    x: Operand, factors: tuple[Operand, Operand, Operand], zero_x: int, largest_gate: int
) -> None:
    """Refuse factors of several values, and products or roundings that could leave int32."""
    largest = max(abs(x.type.low - zero_x), abs(x.type.high - zero_x), 1)
    if largest * largest_gate > INT32_HIGH:
        raise FullintError(f"x times its gate could reach {largest * largest_gate}, beyond int32")
    check_scalars(factors)
    product = TensorType(x.shape, -largest * largest_gate, largest * largest_gate)
    check_factor(product, *factors, 16)


def check_scalars(factors: tuple[Operand, ...]) -> None:
    """Refuse factors that differ between elements."""
    for factor in factors:
        if factor.shape != (1,):
            raise FullintError(f"a factor of shape {factor.shape}; it takes one for all elements")


def check_codes(zero_point: int, low: int, high: int) -> None:
    """Refuse results that are no codes with a zero point among them."""
    if not low <= zero_point <= high:
        raise FullintError("the zero point must be among the result's codes")
    check_zero_point(2**30, zero_point)


def gated(
    centred: np.ndarray,
    gate: np.ndarray,
    factors: tuple[np.ndarray, np.ndarray, np.ndarray],
    zero_point: int,
    low: int,
    high: int,
) -> np.ndarray:
    """clip(round(centred * gate * factor) + zero_point, low, high); at most 2^30 before."""
    scaled = fixed_point.requantize(centred * gate, *factors, intermediate_bits=16)
    return np.clip(scaled + zero_point, low, high)
