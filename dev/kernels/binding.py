"""ctypes around the check library (entry_points.cpp), with arrays that end where memory ends.

Every operand lies right before a page that may not be touched, so reading or writing one byte past
its last element stops the process.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np

ISAS = ("portable", "avx2", "avx512vnni", "amx")
TYPES = ("uint8", "int8", "int16", "int32")
KINDS = ("exponentials", "softmax", "log2_softmax", "table_softmax")
LIBRARY = Path(
    os.environ.get(
        "FULLINT_KERNELS_LIBRARY",
        Path(__file__).parents[2] / "build" / "kernels" / "libfullint_kernels_check.so",
    )
)


class Matrix(ctypes.Structure):
    """Address and row stride in elements."""

    _fields_ = [("data", ctypes.c_void_p), ("row_stride", ctypes.c_int64)]


class Factors(ctypes.Structure):
    """Requantization of entry_points.cpp."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("given", "count")),
        *((name, ctypes.c_void_p) for name in ("pre_shift", "multiplier", "shift")),
        *((name, ctypes.c_int32) for name in ("intermediate_bits", "zero_point", "low", "high")),
    ]


class Addition(ctypes.Structure):
    """RescaledAddition of entry_points.cpp."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("given", "count")),
        *((name, ctypes.c_void_p) for name in ("multiplier_a", "multiplier_b", "shift")),
        *((name, ctypes.c_int32) for name in ("zero_a", "zero_b", "zero_point", "low", "high")),
    ]


class Head(ctypes.Structure):
    """AttentionSpec of entry_points.cpp."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("keys", "depth", "value_depth")),
        *((name, ctypes.c_int32) for name in ("query_type", "key_type", "value_type")),
        *((name, ctypes.c_int32) for name in ("zero_query", "zero_key", "zero_value")),
        *((name, ctypes.c_int32) for name in ("has_addend", "kind")),
        *((name, ctypes.c_int32) for name in ("pre_shift", "multiplier", "shift")),
        *((name, ctypes.c_int32) for name in ("log2_rounding", "value_bits", "fraction_bits")),
        *((name, ctypes.c_int32) for name in ("output_type", "table_entries")),
        ("table", ctypes.c_void_p),
        ("scores", Factors),
        ("output", Factors),
    ]


_library = ctypes.CDLL(str(LIBRARY))
_KERNELS = "linear requantize rescaled_add lookup layer_norm row_norm row_gelu word_lookup"
for _name in _KERNELS.split():
    getattr(_library, f"make_{_name}").restype = ctypes.c_void_p
_libc = ctypes.CDLL(None)
_maps: list[mmap.mmap] = []


def is_supported(isa: str) -> bool:
    """Whether this machine and build run the instruction set."""
    return bool(_library.isa_is_supported(ISAS.index(isa)))


def guarded(rows: int, columns: int, dtype: str, stride: int | None = None) -> np.ndarray:
    """A zeroed matrix whose last element is the last of its page."""
    stride = columns if stride is None else stride
    size = ((max(rows, 1) - 1) * stride + columns) * np.dtype(dtype).itemsize
    pages = -(-size // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    _libc.mprotect(ctypes.c_void_p(address + pages * mmap.PAGESIZE), mmap.PAGESIZE, 0)
    _maps.append(memory)
    flat = np.frombuffer(memory, dtype=np.uint8)[pages * mmap.PAGESIZE - size :][:size].view(dtype)
    item = flat.itemsize
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), (stride * item, item))


def guard(values: np.ndarray, dtype: str, stride: int | None = None) -> np.ndarray:
    """A copy of a matrix in guarded memory."""
    copy = guarded(*values.shape, dtype, stride)
    copy[...] = values
    return copy


def pointer(array: np.ndarray | None) -> ctypes.c_void_p:
    """Address of the first element."""
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def matrix(array: np.ndarray | None) -> Matrix:
    """A matrix as the kernels take it."""
    if array is None:
        return Matrix(None, 0)
    return Matrix(array.ctypes.data, array.strides[0] // array.itemsize)


def type_index(dtype: Any) -> int:
    """Number of a NumberType."""
    return TYPES.index(np.dtype(dtype).name)


def factors(values: dict[str, Any] | None) -> Factors:
    """A Requantization; the arrays in `values` must be int32 and outlive the call."""
    if values is None:
        return Factors(0, 0, None, None, None, 0, 0, 0, 0)
    arrays = [values[name] for name in ("pre_shift", "multiplier", "shift")]
    scalars = [values[name] for name in ("intermediate_bits", "zero_point", "low", "high")]
    return Factors(1, len(arrays[0]), *(array.ctypes.data for array in arrays), *scalars)


def addition(values: dict[str, Any] | None) -> Addition:
    """A RescaledAddition; the arrays in `values` must be int32 and outlive the call."""
    if values is None:
        return Addition(0, 0, None, None, None, 0, 0, 0, 0, 0)
    arrays = [values[name] for name in ("multiplier_a", "multiplier_b", "shift")]
    scalars = [values[name] for name in ("zero_a", "zero_b", "zero_point", "low", "high")]
    return Addition(1, len(arrays[0]), *(array.ctypes.data for array in arrays), *scalars)


def make(kind: str, isa: str, *arguments: Any) -> ctypes.c_void_p:
    """A RowKernel."""
    return ctypes.c_void_p(getattr(_library, f"make_{kind}")(ISAS.index(isa), *arguments))


def run(kernel: ctypes.c_void_p, x: np.ndarray, second: np.ndarray | None, out: np.ndarray) -> None:
    """Run a RowKernel on all rows of x, and free it."""
    rows = ctypes.c_int64(len(x))
    _library.run_rows(kernel, rows, matrix(x), matrix(second), matrix(out))
    _library.free_rows(kernel)


def run_row_softmax(
    isa: str, kind: int, attributes: np.ndarray, scores: np.ndarray, out: np.ndarray
) -> None:
    """Run a softmax of rows/ on all rows of scores, which are overwritten."""
    _library.run_row_softmax(
        ISAS.index(isa),
        kind,
        pointer(attributes),
        *(ctypes.c_int64(size) for size in scores.shape),
        matrix(scores),
        matrix(out),
    )


def run_attention(
    isa: str,
    head: Head,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    addend: np.ndarray | None,
    out: np.ndarray,
) -> None:
    """Run one head."""
    _library.run_attention(
        ISAS.index(isa),
        ctypes.byref(head),
        ctypes.c_int64(len(q)),
        *(matrix(array) for array in (q, k, v, addend, out)),
    )


def release_memory() -> None:
    """Give guarded memory back once no array of it is in use (what still is, stays)."""
    _maps.clear()
