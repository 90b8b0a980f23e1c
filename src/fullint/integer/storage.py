"""How integer constants are stored: in the smallest type, 4-bit values two to a byte, runs of equal
values as one.

A matrix whose rows each span at most 15, as weights of up to 4 bits with a zero point a row do, is
of type row_uint4: the smallest value of every row, an int8, then every value less that of its row.
A table of few levels is of type runs (`runs`).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from fullint.errors import FullintError
from fullint.integer import runs

StorageType = Literal["uint4", "int4", "row_uint4", "uint8", "int8", "int16", "int32", "runs"]


class _Storage(NamedTuple):
    low: int
    high: int
    dtype: str  # little-endian, as safetensors defines it; of a packed type, of its bytes


_STORAGES: dict[StorageType, _Storage] = {
    "uint4": _Storage(0, 15, "u1"),
    "int4": _Storage(-8, 7, "u1"),
    "row_uint4": _Storage(-128, 127, "u1"),
    "uint8": _Storage(0, 255, "u1"),
    "int8": _Storage(-128, 127, "i1"),
    "int16": _Storage(-(2**15), 2**15 - 1, "<i2"),
    "int32": _Storage(-(2**31), 2**31 - 1, "<i4"),
}
PACKED_TYPES = ("uint4", "int4", "row_uint4")
_LARGEST_NIBBLE = 15
_SMALLEST_TABLE = 1024


def storage_type(constant: np.ndarray) -> StorageType:
    """The smallest storage type that holds the values; FullintError for other than int32."""
    if constant.dtype.kind not in "iu":
        raise FullintError(f"a constant is {constant.dtype}; only integers are stored")
    low, high = int(constant.min()), int(constant.max())
    for name, storage in _STORAGES.items():
        fits = storage.low <= low and high <= storage.high
        if fits and (name != "row_uint4" or (low < 0 and _has_narrow_rows(constant))):
            return "runs" if _is_table(constant, least_bytes(constant.shape, name)) else name
    raise FullintError(f"a constant holds values from {low} to {high}, beyond int32")


def stored_bytes(constant: np.ndarray, storage: StorageType) -> int:
    """Bytes that a constant takes."""
    if storage == "runs":
        return runs.packed_bytes(constant)
    return least_bytes(constant.shape, storage)


def least_bytes(shape: tuple[int, ...], storage: StorageType) -> int:
    """Bytes that a constant of this shape takes, at least: the whole number but for runs."""
    size = math.prod(shape)
    if storage == "runs":
        return runs.least_bytes(size)
    if storage not in PACKED_TYPES:
        return size * np.dtype(_STORAGES[storage].dtype).itemsize
    return _offsets(shape, storage) + (size + 1) // 2


def most_bytes(shape: tuple[int, ...], storage: StorageType) -> int:
    """Bytes that a constant of this shape takes, at most."""
    return runs.most_bytes(math.prod(shape)) if storage == "runs" else least_bytes(shape, storage)


def pack(constant: np.ndarray, storage: StorageType) -> np.ndarray:
    """The array to write: the constant in its type, its runs (count, 2), or its 4-bit values two to
    a byte.

    A packed array is flat; the earlier value is in the low half; zero bits fill up the last byte.
    """
    if storage == "runs":
        return runs.pack(constant)
    if storage not in PACKED_TYPES:
        return constant.astype(_STORAGES[storage].dtype, order="C")
    offsets = np.empty(0, np.uint8)
    values = constant.astype(np.int8)
    if storage == "row_uint4":
        lowest = values.min(axis=1, keepdims=True)
        offsets, values = lowest.reshape(-1).view(np.uint8), values - lowest
    nibbles = np.zeros(2 * ((values.size + 1) // 2), dtype=np.uint8)
    nibbles[: values.size] = values.reshape(-1).view(np.uint8) & _LARGEST_NIBBLE
    return np.concatenate([offsets, nibbles[0::2] | nibbles[1::2] << 4])


def unpack(stored: np.ndarray, shape: tuple[int, ...], storage: StorageType) -> np.ndarray:
    """The inverse of `pack`, read-only; FullintError for an array that `pack` does not write."""
    if storage == "runs":
        values = runs.unpack(stored, shape)
    else:
        packed = storage in PACKED_TYPES
        dtype = np.dtype(_STORAGES[storage].dtype)
        stored_shape = (least_bytes(shape, storage),) if packed else shape
        if stored.dtype != dtype or stored.shape != stored_shape:
            raise FullintError(f"is {stored.dtype} {stored.shape}, expected {dtype} {stored_shape}")
        values = _unpack_nibbles(stored, shape, storage) if packed else stored
    values.flags.writeable = False
    return values


def _is_table(constant: np.ndarray, plain_bytes: int) -> bool:
    return constant.size >= _SMALLEST_TABLE and runs.packed_bytes(constant) < plain_bytes


def _has_narrow_rows(constant: np.ndarray) -> bool:
    if constant.ndim != 2 or constant.shape[1] < 4:
        return False
    spans = constant.max(1).astype(np.int64) - constant.min(1)
    return bool(spans.max() <= _LARGEST_NIBBLE)


def _offsets(shape: tuple[int, ...], storage: StorageType) -> int:
    """How many rows have an offset, a byte each."""
    return shape[0] if storage == "row_uint4" and shape else 0


def _unpack_nibbles(stored: np.ndarray, shape: tuple[int, ...], storage: StorageType) -> np.ndarray:
    offsets, size = _offsets(shape, storage), math.prod(shape)
    if size % 2 and stored[-1] > _LARGEST_NIBBLE:
        raise FullintError("has bits after its last value")
    pairs = stored[offsets:].astype("<u2")  # the two values of each byte, to be a byte each
    pairs |= pairs << 4
    pairs &= 0x0F0F
    values = pairs.view(np.uint8)[:size].reshape(shape)
    if storage == "row_uint4":
        return _add_offsets(values, stored[:offsets].view(np.int8))
    return ((values ^ 8) - 8).view(np.int8) if storage == "int4" else values


def _add_offsets(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Rows of nibbles and their smallest values to int8."""
    if values.ndim != 2:
        raise FullintError(f"has rows of 4-bit values, but shape {values.shape} is not a matrix")
    highest = values.max(axis=1).astype(np.int16) + offsets
    if values.min(axis=1).any() or highest.max() > _STORAGES["int8"].high:
        raise FullintError("has rows whose offset is not their smallest value, or beyond int8")
    return values.view(np.int8) + offsets[:, None]
