"""slice: a range of one axis."""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType


def infer(x: Operand, *, dim: int, start: int, stop: int) -> TensorType:
    """0 <= start < stop <= size."""
    if not 0 <= dim < len(x.shape) or not 0 <= start < stop <= x.shape[dim]:
        raise FullintError(f"cannot take [{start}:{stop}] of axis {dim} of {x.shape}")
    shape = (*x.shape[:dim], stop - start, *x.shape[dim + 1 :])
    return TensorType(shape, x.type.low, x.type.high)


def compute(x: np.ndarray, *, dim: int, start: int, stop: int) -> np.ndarray:
    """x[start:stop] along dim, per image."""
    return x[(slice(None),) * (dim + 1) + (slice(start, stop),)]


register("slice", infer=infer, compute=compute)
