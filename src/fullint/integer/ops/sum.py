"""sum: over given axes, zero point subtracted (pooling; a requantization follows and divides)."""

from __future__ import annotations

import math

import numpy as np

from fullint.errors import FullintError
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType


def infer(x: Operand, *, dims: tuple[int, ...], zero_point: int) -> TensorType:
    """Removes the axes `dims`; the range grows by their sizes."""
    if not dims or any(not 0 <= dim < len(x.shape) for dim in dims) or len(set(dims)) != len(dims):
        raise FullintError(f"cannot sum shape {x.shape} over {dims}")
    count = math.prod(x.shape[dim] for dim in dims)
    shape = tuple(size for dim, size in enumerate(x.shape) if dim not in dims)
    return TensorType(shape, count * (x.type.low - zero_point), count * (x.type.high - zero_point))


def compute(x: np.ndarray, *, dims: tuple[int, ...], zero_point: int) -> np.ndarray:
    """Sum of x - zero_point."""
    return (x - zero_point).sum(axis=tuple(dim + 1 for dim in dims))


register("sum", infer=infer, compute=compute)
