"""Runs of equal values, as tables of few levels are stored: pairs (value, length), an int32 each.

A run is at most 1024 values long, so that no small file stands for a huge constant; `checks` limits
how many values all runs of a file stand for.
"""

from __future__ import annotations

import math

import numpy as np

from fullint.errors import FullintError
from fullint.integer.types import TensorType

LONGEST_RUN = 1024
_PAIR_BYTES = 8


def packed_bytes(constant: np.ndarray) -> int:
    """Bytes of the packed array."""
    return _PAIR_BYTES * len(_starts(constant))


def least_bytes(size: int) -> int:
    """Fewest bytes of a packed array that stands for `size` values."""
    return _PAIR_BYTES * -(-size // LONGEST_RUN)


def most_bytes(size: int) -> int:
    """Most bytes of a packed array that stands for `size` values."""
    return _PAIR_BYTES * size


def pack(constant: np.ndarray) -> np.ndarray:
    """Values and lengths in order, int32 (runs, 2)."""
    starts = _starts(constant)
    pairs = constant.reshape(-1)[starts], np.diff(starts, append=constant.size)
    return np.stack(pairs, axis=1).astype("<i4")


def unpack(packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of `pack`, in the smallest type; FullintError for what `pack` does not write."""
    if packed.dtype != np.dtype("<i4") or packed.ndim != 2 or packed.shape[1:] != (2,):
        raise FullintError(f"is {packed.dtype} {packed.shape}, expected int32 (runs, 2)")
    values, lengths = packed.T
    if lengths.min(initial=1) < 1 or lengths.max(initial=1) > LONGEST_RUN:
        raise FullintError(f"has a run that is not of 1 to {LONGEST_RUN} values")
    total = int(lengths.sum(dtype=np.int64))
    if total != math.prod(shape):
        raise FullintError(f"has runs of {total} values together for shape {shape}")
    smallest = TensorType((1,), int(values.min()), int(values.max())).numpy_dtype
    constant = np.repeat(values.astype(smallest), lengths).reshape(shape)
    if not np.array_equal(pack(constant), packed):
        raise FullintError("has runs that could be longer")
    return constant


def _starts(constant: np.ndarray) -> np.ndarray:
    """Where runs begin: at every change, and within long ones every LONGEST_RUN values."""
    flat = constant.reshape(-1)
    changes = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(changes, append=flat.size)
    if lengths.max() <= LONGEST_RUN:
        return changes
    parts = [
        np.arange(start, start + length, LONGEST_RUN)
        for start, length in zip(changes, lengths, strict=True)
    ]
    return np.concatenate(parts)
