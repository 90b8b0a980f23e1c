"""A unit's streams as bytes: what the compiled simulation, the test bench and its vectors share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib.wiring import Component, Flow

WORD_BITS = 32


@dataclass(frozen=True)
class Field:
    """A port of a stream and its width in bits."""

    port: str
    width: int

    @property
    def words(self) -> int:
        """32-bit words that hold it."""
        return -(-self.width // WORD_BITS)


@dataclass(frozen=True)
class Stream:
    """The ports NAME_*, without NAME_valid and NAME_ready, in the order of the unit's signature."""

    name: str
    fields: tuple[Field, ...]

    @property
    def words(self) -> int:
        """32-bit words that hold a beat."""
        return sum(field.words for field in self.fields)


@dataclass(frozen=True)
class Interface:
    """A unit's input streams, its one output stream, and its constant inputs."""

    inputs: tuple[Stream, ...]
    output: Stream
    settings: tuple[Field, ...]


def interface_of(unit: Component) -> Interface:
    """The interface that the names of a unit's ports tell."""
    ports = {
        name: (member.flow, Field(name, Shape.cast(member.shape).width))
        for name, member in unit.signature.members.items()
    }
    streams = [name.removesuffix("_valid") for name in ports if name.endswith("_valid")]
    found: dict[str, list[Field]] = {stream: [] for stream in streams}
    settings = []
    for name, (_, field) in ports.items():
        owner = next((stream for stream in streams if name.startswith(f"{stream}_")), None)
        if owner is None:
            settings.append(field)
        elif name not in (f"{owner}_valid", f"{owner}_ready"):
            found[owner].append(field)
    made = {stream: Stream(stream, tuple(fields)) for stream, fields in found.items()}
    sent = [name for name in streams if ports[f"{name}_valid"][0] is Flow.Out]
    return Interface(
        tuple(made[name] for name in streams if name not in sent), made[sent[0]], tuple(settings)
    )


def pack_lanes(values: np.ndarray, bits: int) -> np.ndarray:
    """(beats, lanes) integers of `bits` bits each, the first lowest, as (beats, words) uint32."""
    values = np.asarray(values, dtype=np.int64)
    beats, lanes = values.shape
    width = -(-lanes * bits // WORD_BITS) * WORD_BITS
    flat = np.zeros((beats, width), dtype=np.uint8)
    flat[:, : lanes * bits] = ((values[..., None] >> np.arange(bits)) & 1).reshape(beats, -1)
    return np.packbits(flat, axis=-1, bitorder="little").view("<u4")


def rows_to_beats(
    rows: np.ndarray, lanes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows (rows, length) as beats: data (beats, lanes), which lanes hold elements (beats, lanes),
    their number less one (beats, 1) and whether the row ends (beats, 1).

    Lanes that hold no element are 0.
    """
    count, length = rows.shape
    beats = -(-length // lanes)
    data = np.zeros((count, beats * lanes), dtype=np.int64)
    data[:, :length] = rows
    held = np.broadcast_to(np.arange(beats * lanes) < length, data.shape).reshape(-1, lanes)
    last = np.broadcast_to(np.arange(beats) == beats - 1, (count, beats)).reshape(-1, 1)
    return (
        data.reshape(-1, lanes),
        held.astype(np.int64),
        held.sum(axis=-1, keepdims=True) - 1,
        last.astype(np.int64),
    )
