"""The constants of a program, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import NamedTuple

import numpy as np

from fullint.integer.storage import StorageType, unpack


class PackedConstant(NamedTuple):
    """A constant of 4-bit values as its file holds it, and the range of the values."""

    stored: np.ndarray
    shape: tuple[int, ...]
    storage: StorageType
    low: int
    high: int

    @staticmethod
    def of(stored: np.ndarray, shape: tuple[int, ...], storage: StorageType) -> PackedConstant:
        """Raises FullintError where `storage.unpack` does."""
        values = unpack(stored, shape, storage)
        return PackedConstant(stored, shape, storage, int(values.min()), int(values.max()))


class ConstantTable(MutableMapping[str, np.ndarray]):
    """Arrays by name. Those that come packed stay so: each reading unpacks one anew."""

    def __init__(self, constants: Mapping[str, np.ndarray | PackedConstant]) -> None:
        self._entries: dict[str, np.ndarray | PackedConstant] = dict(
            constants._entries if isinstance(constants, ConstantTable) else constants
        )

    def packed(self, name: str) -> PackedConstant | None:
        """A constant that is held packed; None for an array."""
        entry = self._entries[name]
        return entry if isinstance(entry, PackedConstant) else None

    def __getitem__(self, name: str) -> np.ndarray:
        entry = self._entries[name]
        if isinstance(entry, PackedConstant):
            return unpack(entry.stored, entry.shape, entry.storage)
        return entry

    def __setitem__(self, name: str, constant: np.ndarray) -> None:
        self._entries[name] = constant

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
