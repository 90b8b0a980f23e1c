"""concat: join tensors on one grid along an axis (class token; padding with the zero point)."""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType


def infer(*operands: Operand, dim: int) -> TensorType:
    """All other axes agree; constants (without an image axis) join every image."""
    first = operands[0].shape
    for operand in operands:
        rest = (*operand.shape[:dim], *operand.shape[dim + 1 :])
        if not 0 <= dim < len(operand.shape) or rest != (*first[:dim], *first[dim + 1 :]):
            raise FullintError(
                f"cannot join {[operand.shape for operand in operands]} along axis {dim}"
            )
    size = sum(operand.shape[dim] for operand in operands)
    low, high = min(o.type.low for o in operands), max(o.type.high for o in operands)
    return TensorType((*first[:dim], size, *first[dim + 1 :]), low, high)


def compute(*arrays: np.ndarray, dim: int) -> np.ndarray:
    """Joined per image."""
    images, rank = next(
        (a.shape[0], a.ndim) for a in arrays if a.ndim == max(b.ndim for b in arrays)
    )
    expanded = [a if a.ndim == rank else np.broadcast_to(a, (images, *a.shape)) for a in arrays]
    return np.concatenate(expanded, axis=dim + 1)


register("concat", infer=infer, compute=compute)
