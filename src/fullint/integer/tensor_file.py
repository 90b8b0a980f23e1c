"""The file of a model's constants, in the format of safetensors, mapped into memory.

A mapped file is not copied: its pages come from the disk's cache, and `release` gives them back
once the engine has packed what it needs. The safetensors package writes the file; it can read one
only by copying it whole.
"""

from __future__ import annotations

import hashlib
import math
import mmap
from pathlib import Path

import numpy as np

from fullint.errors import FullintError
from fullint.integer import strict_json

_DTYPES = {"U8": "u1", "I8": "i1", "I16": "<i2", "I32": "<i4"}
_LENGTH_BYTES = 8
_MAXIMUM_HEADER = 16 << 20


class TensorFile:
    """A file of integer tensors. It must not be truncated while it is in use.

    Raises:
        FullintError: it is empty, or not of this format.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            if path.stat().st_size <= _LENGTH_BYTES:
                raise FullintError("it is empty")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._map)

    def sha256(self) -> str:
        """Digest of the whole file."""
        return hashlib.sha256(self._map).hexdigest()

    def arrays(self) -> dict[str, np.ndarray]:
        """Read-only views of the tensors, which keep the mapping alive."""
        header_bytes = int.from_bytes(self._map[:_LENGTH_BYTES], "little")
        start = _LENGTH_BYTES + header_bytes
        if header_bytes > _MAXIMUM_HEADER or start > len(self):
            raise FullintError(f"its header is said to have {header_bytes} bytes")
        header = strict_json.parse(self._map[_LENGTH_BYTES:start])
        header.pop("__metadata__", None)
        return {name: self._array(entry, name, start) for name, entry in header.items()}

    def _array(self, entry: object, name: str, start: int) -> np.ndarray:
        where = strict_json.brief(name)
        code, shape, offsets = strict_json.fields(entry, where, ("dtype", "shape", "data_offsets"))
        if code not in _DTYPES:
            raise FullintError(f"{where} has the type {strict_json.brief(code)}")
        dtype, size = np.dtype(_DTYPES[code]), len(self) - start
        sizes = [
            strict_json.integer(axis, f"{where} shape", 0, size)
            for axis in strict_json.sequence(shape, f"{where} shape")
        ]
        ends = [
            strict_json.integer(end, f"{where} offset", 0, size)
            for end in strict_json.sequence(offsets, f"{where} offsets")
        ]
        elements = math.prod(sizes)
        if len(ends) != 2 or ends[1] - ends[0] != elements * dtype.itemsize:
            raise FullintError(f"{where} has other offsets than its shape needs")
        array = np.frombuffer(self._map, dtype, elements, start + ends[0]).reshape(sizes)
        return array if array.flags.aligned else array.copy()

    def release(self) -> None:
        """Give the pages back to the system, where it has a way; whoever reads an array again gets
        them again.
        """
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
