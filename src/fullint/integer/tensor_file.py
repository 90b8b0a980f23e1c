"""The file of a model's constants, in the format of safetensors, mapped into memory.

A mapped file is not copied: its pages come from the disk's cache, and `release` gives them back
once the engine has packed what it needs. The safetensors package writes the file; it can read one
only by copying it whole.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fullint.errors import FullintError
from fullint.integer import strict_json
from fullint.integer.program_json import decode_shape

_DTYPES = {"U8": "u1", "I8": "i1", "I16": "<i2", "I32": "<i4"}
_LENGTH_BYTES = 8
MAXIMUM_HEADER = _LENGTH_BYTES + strict_json.MAXIMUM_BYTES


class _Entry(NamedTuple):
    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


class TensorFile:
    """A file of integer tensors. It may be replaced or removed while it is in use, but must not be
    written to or truncated: what was checked would change, and a lost page ends the process.

    Raises:
        FullintError: it is empty, or not of this format.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size <= _LENGTH_BYTES:
                raise FullintError("it is empty")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._map)

    def sha256(self) -> str:
        """Digest of the whole file."""
        return hashlib.sha256(self._map).hexdigest()

    def arrays(self) -> dict[str, np.ndarray]:
        """Read-only views of the tensors, which keep the mapping alive.

        Raises:
            FullintError: an unknown type, or tensors that do not fill the file one after the other.
        """
        header_bytes = int.from_bytes(self._map[:_LENGTH_BYTES], "little")
        start = _LENGTH_BYTES + header_bytes
        if start > min(len(self), MAXIMUM_HEADER):
            raise FullintError(f"its header is said to have {header_bytes} bytes")
        header = strict_json.parse(self._map[_LENGTH_BYTES:start])
        header.pop("__metadata__", None)
        size = len(self) - start
        entries = {name: _entry(value, name, size) for name, value in header.items()}
        _check_filled(entries, size)
        return {name: self._array(entry, start) for name, entry in entries.items()}

    def _array(self, entry: _Entry, start: int) -> np.ndarray:
        elements = math.prod(entry.shape)
        flat = np.frombuffer(self._map, entry.dtype, elements, start + entry.begin)
        array = flat.reshape(entry.shape)
        return array if array.flags.aligned else array.copy()

    def release(self) -> None:
        """Give the pages back to the system, where it has a way; whoever reads an array again gets
        them again.
        """
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def _entry(value: object, name: str, size: int) -> _Entry:
    """Type, shape and place of a tensor among `size` bytes."""
    where = strict_json.brief(name)
    code, shape, offsets = strict_json.fields(value, where, ("dtype", "shape", "data_offsets"))
    if not isinstance(code, str) or code not in _DTYPES:
        raise FullintError(f"{where} has the type {strict_json.brief(code)}")
    dtype, sizes = np.dtype(_DTYPES[code]), decode_shape(shape, f"{where} shape")
    ends = [
        strict_json.integer(end, f"{where} offset", 0, size)
        for end in strict_json.sequence(offsets, f"{where} offsets")
    ]
    if len(ends) != 2 or ends[1] - ends[0] != math.prod(sizes) * dtype.itemsize:
        raise FullintError(f"{where} has other offsets than its shape needs")
    return _Entry(dtype, sizes, *ends)


def _check_filled(entries: dict[str, _Entry], size: int) -> None:
    """Refuse tensors that share bytes, and bytes that are no tensor's."""
    places = sorted((entry.begin, entry.end) for entry in entries.values())
    for (_, end), (begin, _) in pairwise([(0, 0), *places, (size, size)]):
        if begin != end:
            raise FullintError(f"its tensors overlap or leave a gap at byte {min(begin, end)}")
