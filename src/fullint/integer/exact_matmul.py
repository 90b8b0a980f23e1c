"""Exact integer matrix products at the speed of a float BLAS."""

from __future__ import annotations

import numpy as np


def exact_matmul(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left @ right in exact integers, as int64.

    Products and partial sums of integers are exact in floating point as long as no partial sum can
    pass 2^24 (float32) or 2^53 (float64), in whatever order they are added. The largest magnitudes
    times the depth bound them; beyond 2^53 the product runs in int64. The result is the integer
    product in all three cases.
    """
    bound = _magnitude(left) * _magnitude(right) * left.shape[-1]
    if bound < 2**24:
        return np.matmul(left.astype(np.float32), right.astype(np.float32)).astype(np.int64)
    if bound < 2**53:
        return np.matmul(left.astype(np.float64), right.astype(np.float64)).astype(np.int64)
    return np.matmul(left.astype(np.int64), right.astype(np.int64))


def _magnitude(values: np.ndarray) -> int:
    return max(-int(values.min(initial=0)), int(values.max(initial=0)), 1)
