"""rescaled_add: the residual addition, two tensors on grids of their own added onto a third."""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer.fixed_point import shift_right
from fullint.integer.ops.registry import register
from fullint.integer.types import INT32_HIGH, Operand, TensorType, broadcast_shape, check_zero_point


def infer(
    a: Operand,
    b: Operand,
    multiplier_a: Operand,
    multiplier_b: Operand,
    shift: Operand,
    *,
    zero_a: int,
    zero_b: int,
    zero_point: int,
    low: int,
    high: int,
) -> TensorType:
    """Shapes broadcast; multipliers and shift (a tensor's or a channel's) against the result."""
    shape = broadcast_shape(a, b)
    if np.broadcast_shapes(shape, multiplier_a.shape, multiplier_b.shape, shift.shape) != shape:
        raise FullintError("multipliers and shift must broadcast to the sum")
    shifts = shift.values()
    if shifts.min() < 0 or shifts.max() > 30:
        raise FullintError("shift must lie in [0, 30]")
    largest_a = max(abs(a.type.low - zero_a), abs(a.type.high - zero_a))
    largest_b = max(abs(b.type.low - zero_b), abs(b.type.high - zero_b))
    rounding = (np.int64(1) << shifts) >> 1
    # Python's integers: these products may pass int64 before they are refused.
    factors_a, factors_b = (np.abs(m.values()).astype(object) for m in (multiplier_a, multiplier_b))
    worst = factors_a * largest_a + factors_b * largest_b + rounding
    if worst.max() > INT32_HIGH:
        raise FullintError(f"the weighted sum could reach {worst.max()}, beyond int32")
    check_zero_point(int((worst.astype(np.int64) >> shifts).max()), zero_point)
    return TensorType(shape, low, high)


def compute(
    a: np.ndarray,
    b: np.ndarray,
    multiplier_a: np.ndarray,
    multiplier_b: np.ndarray,
    shift: np.ndarray,
    *,
    zero_a: int,
    zero_b: int,
    zero_point: int,
    low: int,
    high: int,
) -> np.ndarray:
    """clip(round(weighted / 2^shift) + zero_point, low, high) of the weighted sum."""
    weighted = (a - zero_a) * multiplier_a + (b - zero_b) * multiplier_b
    return np.clip(shift_right(weighted, shift) + zero_point, low, high)


register("rescaled_add", infer=infer, compute=compute)
