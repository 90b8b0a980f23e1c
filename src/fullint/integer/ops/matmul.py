"""matmul: the product of two computed tensors (attention scores, attention times value)."""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer.exact_matmul import exact_matmul
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType


def infer(a: Operand, b: Operand, *, zero_a: int, zero_b: int) -> TensorType:
    """a (..., M, K), b (..., K, N), zero points subtracted first, to int32 (..., M, N)."""
    check_matmul_shapes(a, b)
    largest_a = max(abs(a.type.low - zero_a), abs(a.type.high - zero_a))
    largest_b = max(abs(b.type.low - zero_b), abs(b.type.high - zero_b))
    terms = a.shape[-1] * largest_a
    if a.type.row_sum is not None and zero_a == 0:
        terms = min(terms, a.type.row_sum)
    bound = terms * largest_b
    return TensorType((*a.shape[:-1], b.shape[-1]), -bound, bound)


def compute(a: np.ndarray, b: np.ndarray, *, zero_a: int, zero_b: int) -> np.ndarray:
    """(a - zero_a) @ (b - zero_b), exact."""
    return exact_matmul(a - zero_a, b - zero_b)


def check_matmul_shapes(a: Operand, b: Operand) -> None:
    """Refuse operands that are not stacks of matrices of fitting sizes."""
    fits = (
        len(a.shape) == len(b.shape) >= 2
        and a.shape[:-2] == b.shape[:-2]
        and a.shape[-1] == b.shape[-2]
    )
    if not fits:
        raise FullintError(f"matmul of shapes {a.shape} and {b.shape}")


register("matmul", infer=infer, compute=compute)
