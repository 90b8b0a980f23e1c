"""reshape: the same elements in the same order under another shape."""

from __future__ import annotations

import math

import numpy as np

from fullint.errors import FullintError
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType


def infer(x: Operand, *, shape: tuple[int, ...]) -> TensorType:
    """Same number of elements."""
    if math.prod(shape) != math.prod(x.shape):
        raise FullintError(f"cannot reshape {x.shape} to {shape}")
    return TensorType(shape, x.type.low, x.type.high)


def compute(x: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
    """Per image."""
    return x.reshape(x.shape[0], *shape)


register("reshape", infer=infer, compute=compute)
