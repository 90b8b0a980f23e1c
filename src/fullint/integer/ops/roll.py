"""roll: cyclic shift (Swin's shifted windows)."""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType


def infer(x: Operand, *, shifts: tuple[int, ...], dims: tuple[int, ...]) -> TensorType:
    """One shift for each axis in dims."""
    if len(shifts) != len(dims) or any(not 0 <= dim < len(x.shape) for dim in dims):
        raise FullintError(f"cannot roll {x.shape} by {shifts} along {dims}")
    return TensorType(x.shape, x.type.low, x.type.high)


def compute(x: np.ndarray, *, shifts: tuple[int, ...], dims: tuple[int, ...]) -> np.ndarray:
    """As numpy.roll, per image."""
    return np.roll(x, shifts, axis=tuple(dim + 1 for dim in dims))


register("roll", infer=infer, compute=compute)
