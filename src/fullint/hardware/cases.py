"""What it takes to check and to measure a unit: how it is built, and its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from amaranth.lib.wiring import Component

from fullint.hardware.simulation import Vectors
from fullint.hardware.workload import ModelRun


class Case(Protocol):
    """A unit and where its vectors come from; what it must answer comes from its operation."""

    @property
    def name(self) -> str:
        """Name of the Verilog module."""

    @property
    def unit(self) -> Component:
        """The hardware."""

    @property
    def lanes(self) -> int:
        """Elements a beat."""

    @property
    def row_length(self) -> int:
        """Elements of the longest row."""

    @property
    def lengths(self) -> Sequence[int]:
        """All lengths of rows that the unit takes."""

    def random_vectors(self, rng: np.random.Generator, rows: int, length: int) -> Vectors:
        """Rows of a length, of many kinds, the extremes among them."""

    def model_vectors(self, run: ModelRun) -> list[Vectors]:
        """The rows of a model's run, apart where constant inputs differ."""


def random_codes(rng: np.random.Generator, rows: int, length: int) -> np.ndarray:
    """8-bit codes (rows, length): spreads from 1 to uniform, and every extreme."""
    spread = rng.choice([1.0, 5.0, 12.0, 40.0, 200.0], (rows, 1))
    centre = rng.integers(20, 236, (rows, 1))
    codes = np.clip(rng.normal(centre, spread, (rows, length)).round(), 0, 255).astype(np.int64)
    one_hot, rising = np.zeros(length, dtype=np.int64), np.arange(length) % 256
    one_hot[-1] = 255
    extremes = [np.zeros(length), np.full(length, 255), np.full(length, 77), one_hot]
    extremes += [255 - one_hot, rising, rising[::-1]]
    for row, extreme in zip(codes, extremes, strict=False):
        row[:] = extreme
    return codes


def chosen_rows(vectors: Vectors, chosen: np.ndarray) -> Vectors:
    """Some of the rows of vectors whose rows all have the same length, by their numbers."""

    def choose(words: np.ndarray) -> np.ndarray:
        width = words.shape[-1]
        return words.reshape(vectors.rows, -1, width)[chosen].reshape(-1, width)

    return Vectors(
        inputs=[choose(words) for words in vectors.inputs],
        expected=choose(vectors.expected),
        mask=choose(vectors.mask),
        settings=vectors.settings,
        rows=len(chosen),
        outputs=vectors.outputs // vectors.rows * len(chosen),
    )


def joined(parts: Sequence[Vectors]) -> Vectors:
    """Vectors of the same settings, one after another."""
    return Vectors(
        inputs=[np.concatenate(words) for words in zip(*(p.inputs for p in parts), strict=True)],
        expected=np.concatenate([part.expected for part in parts]),
        mask=np.concatenate([part.mask for part in parts]),
        settings=parts[0].settings,
        rows=sum(part.rows for part in parts),
        outputs=sum(part.outputs for part in parts),
    )
