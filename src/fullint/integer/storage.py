"""How integer constants are stored: in the smallest type, 4-bit values two to a byte."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from fullint.errors import FullintError

StorageType = Literal["uint4", "int4", "uint8", "int8", "int16", "int32"]


class _Storage(NamedTuple):
    low: int
    high: int
    dtype: str  # little-endian, as safetensors defines it


_STORAGES: dict[StorageType, _Storage] = {
    "uint4": _Storage(0, 15, "u1"),
    "int4": _Storage(-8, 7, "i1"),
    "uint8": _Storage(0, 255, "u1"),
    "int8": _Storage(-128, 127, "i1"),
    "int16": _Storage(-(2**15), 2**15 - 1, "<i2"),
    "int32": _Storage(-(2**31), 2**31 - 1, "<i4"),
}
STORAGE_TYPES: tuple[StorageType, ...] = tuple(_STORAGES)
_PACKED = ("uint4", "int4")


def storage_type(constant: np.ndarray) -> StorageType:
    """The smallest storage type that holds the values; FullintError for other than int32."""
    if constant.dtype.kind not in "iu":
        raise FullintError(f"a constant is {constant.dtype}; only integers are stored")
    low, high = int(constant.min()), int(constant.max())
    for name, storage in _STORAGES.items():
        if storage.low <= low and high <= storage.high:
            return name
    raise FullintError(f"a constant holds values from {low} to {high}, beyond int32")


def stored_bytes(shape: tuple[int, ...], storage: StorageType) -> int:
    """Bytes that a constant of this shape takes."""
    size = math.prod(shape)
    return (
        (size + 1) // 2
        if storage in _PACKED
        else size * np.dtype(_STORAGES[storage].dtype).itemsize
    )


def pack(constant: np.ndarray, storage: StorageType) -> np.ndarray:
    """The array to write: the constant in its type, or its 4-bit values two to a byte.

    A packed array is flat; the earlier value is in the low half; zero bits fill up the last byte.
    """
    if storage not in _PACKED:
        return constant.astype(_STORAGES[storage].dtype, order="C")
    nibbles = np.zeros(2 * stored_bytes(constant.shape, storage), dtype=np.uint8)
    nibbles[: constant.size] = constant.reshape(-1).astype(np.int8).view(np.uint8) & 15
    return nibbles[0::2] | nibbles[1::2] << 4


def unpack(stored: np.ndarray, shape: tuple[int, ...], storage: StorageType) -> np.ndarray:
    """The inverse of `pack`, read-only; FullintError for an array that `pack` does not write."""
    packed = storage in _PACKED
    dtype = np.dtype("u1" if packed else _STORAGES[storage].dtype)
    stored_shape = (stored_bytes(shape, storage),) if packed else shape
    if stored.dtype != dtype or stored.shape != stored_shape:
        raise FullintError(f"is {stored.dtype} {stored.shape}, expected {dtype} {stored_shape}")
    values = stored
    if packed:
        nibbles = np.stack((stored & 15, stored >> 4), axis=-1).reshape(-1)
        size = math.prod(shape)
        if nibbles[size:].any():
            raise FullintError("has bits after its last value")
        values = nibbles[:size].reshape(shape)
        if storage == "int4":
            values = ((values ^ 8) - 8).view(np.int8)
    values.flags.writeable = False
    return values
