"""shift_matmul: log2 attention codes times values, by shifts (FQ-ViT, arXiv 2111.13824, eq. 16)."""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer.exact_matmul import exact_matmul
from fullint.integer.ops.matmul import check_matmul_shapes
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType

LARGEST_CODE = 15


def infer(codes: Operand, b: Operand, *, zero_b: int) -> TensorType:
    """codes (..., M, K) for 2^-code, b (..., K, N), to int32 (..., M, N) in steps of 2^-15."""
    check_matmul_shapes(codes, b)
    if codes.type.low < 0 or codes.type.high > LARGEST_CODE:
        raise FullintError(
            f"log2 codes range over [{codes.type.low}, {codes.type.high}], not [0, {LARGEST_CODE}]"
        )
    terms = codes.shape[-1] << LARGEST_CODE
    if codes.type.row_sum is not None:
        terms = min(terms, codes.type.row_sum)
    bound = terms * max(abs(b.type.low - zero_b), abs(b.type.high - zero_b))
    return TensorType((*codes.shape[:-1], b.shape[-1]), -bound, bound)


def compute(codes: np.ndarray, b: np.ndarray, *, zero_b: int) -> np.ndarray:
    """sum_k (b_k - zero_b) << (15 - code_k), here as one exact product with the powers of two."""
    return exact_matmul(np.int64(1) << (LARGEST_CODE - codes), b - zero_b)


register("shift_matmul", infer=infer, compute=compute)
