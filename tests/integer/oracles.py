"""Independent arithmetic that the tests compare with: Python integers and exact fractions.

None of it calls the code under test, but for `infer` and `compute`, which look an operation up.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from fullint.integer.ops import find_operation
from fullint.integer.types import INT32_HIGH, INT32_LOW, Operand, TensorType


def tensor(shape: tuple[int, ...], low: int, high: int, row_sum: int | None = None) -> Operand:
    """A computed tensor, as a type rule sees it."""
    return Operand(TensorType(shape, int(low), int(high), row_sum))


def constant(values: np.ndarray | list | int) -> Operand:
    """A constant, as a type rule sees it."""
    array = np.asarray(values)
    return Operand(TensorType(array.shape, int(array.min()), int(array.max())), array)


def infer(kind: str, *operands: Operand, **attributes: object) -> TensorType:
    """The operation's type rule, and the check that a program makes of its result."""
    result = find_operation(kind).infer(*operands, **attributes)
    result.require_int32()
    assert type(result.low) is int and type(result.high) is int
    assert all(type(size) is int for size in result.shape)
    return result


def compute(kind: str, *arrays: np.ndarray, **attributes: object) -> np.ndarray:
    """The operation's arithmetic."""
    return find_operation(kind).compute(*arrays, **attributes)


def assert_in_range(values: np.ndarray, type_: TensorType) -> None:
    """The images in front, then the type's shape and range."""
    assert values.shape[1:] == type_.shape
    assert type_.low <= values.min() and values.max() <= type_.high


def rounded(value: Fraction) -> int:
    """To the nearest integer, halves towards plus infinity."""
    return math.floor(value + Fraction(1, 2))


def in_int32(value: int) -> int:
    """The value, which must fit a 32-bit integer."""
    assert INT32_LOW <= value <= INT32_HIGH, value
    return value


def requantized(
    value: int, pre_shift: int, multiplier: int, shift: int, intermediate_bits: int
) -> int:
    """The definition of requantization in Python integers; every step of the fast form in int32."""
    check = in_int32 if intermediate_bits == 16 else int
    total = check(value + (2**pre_shift // 2))
    limit = 2 ** (intermediate_bits - 1)
    intermediate = max(-limit, min(limit - 1, math.floor(Fraction(total, 2**pre_shift))))
    product = check(check(intermediate * multiplier) + 2**shift // 2)
    return math.floor(Fraction(product, 2**shift))


def fast_factor(real: float, largest: int) -> tuple[int, int, int]:
    """A fast-form factor near `real` for values up to `largest`: pre-shift, multiplier, shift."""
    pre_shift = max(0, int(largest).bit_length() - 15)
    shift = min(30, 14 - math.frexp(real * 2**pre_shift)[1] + 1)
    multiplier = round(real * 2 ** (pre_shift + shift))
    if multiplier >= 2**15:
        shift, multiplier = shift - 1, multiplier // 2
    assert 0 < multiplier < 2**15 and shift >= 0
    return pre_shift, multiplier, shift
