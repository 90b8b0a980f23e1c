"""permute: reorder axes."""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType


def infer(x: Operand, *, dims: tuple[int, ...]) -> TensorType:
    """dims is a permutation of the axes of one image."""
    if sorted(dims) != list(range(len(x.shape))):
        raise FullintError(f"{dims} does not reorder the axes of {x.shape}")
    return TensorType(tuple(x.shape[dim] for dim in dims), x.type.low, x.type.high)


def compute(x: np.ndarray, *, dims: tuple[int, ...]) -> np.ndarray:
    """Per image."""
    return x.transpose(0, *(dim + 1 for dim in dims))


register("permute", infer=infer, compute=compute)
