"""What each unit is: how to build it, and its vectors from the NumPy operation."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from amaranth.lib.wiring import Component

from fullint.hardware.pipeline import count_bits
from fullint.hardware.simulation import Vectors
from fullint.hardware.streams import pack_lanes, rows_to_beats
from fullint.hardware.units.ailayernorm import (
    BIAS_BITS,
    CHANNEL_SHIFT_BITS,
    CODE_BITS,
    MULTIPLIER_BITS,
    AILayerNorm,
)
from fullint.hardware.units.e2softmax import E2Softmax
from fullint.integer.ops import find_operation
from fullint.integer.ops.ailayernorm import (
    BIAS_LIMIT,
    LARGEST_CHANNEL_SHIFT,
    MULTIPLIER_LIMIT,
)
from fullint.integer.ops.e2softmax import PUBLISHED_QUOTIENTS

_IDENTITY = tuple(np.array([part]) for part in (0, 1, 0))


class Case(Protocol):
    """A unit and where its vectors come from."""

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

    def random_vectors(self, rng: np.random.Generator, rows: int, length: int) -> Vectors:
        """Rows of a length, of many kinds, the extremes among them."""


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


@dataclass(frozen=True)
class E2SoftmaxCase:
    """E2Softmax; scores in steps of 2^-fraction_bits octaves, or nats where `natural`."""

    lanes: int
    row_length: int
    fraction_bits: int = 3
    natural: bool = False
    output_bits: int = 8
    known_maximum: bool = False
    name: str = "e2softmax"

    @functools.cached_property
    def unit(self) -> E2Softmax:
        """The hardware."""
        return E2Softmax(
            lanes=self.lanes,
            longest_row=self.row_length,
            fraction_bits=self.fraction_bits,
            natural=self.natural,
            output_bits=self.output_bits,
            known_maximum=self.known_maximum,
        )

    def random_vectors(self, rng: np.random.Generator, rows: int, length: int) -> Vectors:
        """Rows of a length, of many kinds, the extremes among them."""
        return self.vectors(random_codes(rng, rows, length))

    def vectors(self, codes: np.ndarray) -> Vectors:
        """Rows of codes (rows, length) and what the operation makes of them."""
        results = find_operation("e2softmax").compute(
            codes[None],
            *_IDENTITY,
            zero_point=0,
            fraction_bits=self.fraction_bits,
            natural=int(self.natural),
            group=codes.shape[-1] if self.known_maximum else self.lanes,
            output_bits=self.output_bits,
            quotients=PUBLISHED_QUOTIENTS,
        )[0]
        data, held, count, last = rows_to_beats(codes, self.lanes)
        tail = [pack_lanes(count, count_bits(self.lanes)), pack_lanes(last, 1)]
        inputs = [pack_lanes(data, CODE_BITS)]
        if self.known_maximum:
            beats = len(data) // len(codes)
            inputs.append(pack_lanes(np.repeat(codes.max(-1, keepdims=True), beats, 0), CODE_BITS))
        expected = pack_lanes(rows_to_beats(results, self.lanes)[0], self.output_bits)
        mask = pack_lanes(held * ((1 << self.output_bits) - 1), self.output_bits)
        all_ones = [np.full_like(words, 2**32 - 1) for words in tail]
        return Vectors(
            inputs=[np.concatenate([*inputs, *tail], axis=1)],
            expected=np.concatenate([expected, *tail], axis=1),
            mask=np.concatenate([mask, *all_ones], axis=1),
            settings={},
            outputs=results.size,
        )


@dataclass(frozen=True)
class AILayerNormCase:
    """AILayerNorm on uint8 codes."""

    lanes: int
    row_length: int
    ranges: int = 2
    name: str = "ailayernorm"
    settings: Mapping[str, int] = field(
        default_factory=lambda: {"zero_x": 117, "zero_point": 100, "shift": 9, "epsilon": 16}
    )

    @functools.cached_property
    def unit(self) -> AILayerNorm:
        """The hardware."""
        return AILayerNorm(lanes=self.lanes, channels=self.row_length, ranges=self.ranges)

    def random_vectors(self, rng: np.random.Generator, rows: int, length: int) -> Vectors:
        """Tokens of many kinds; a token's length is the unit's number of channels."""
        constants = [
            rng.integers(0, LARGEST_CHANNEL_SHIFT + 1, length),
            rng.integers(1 - MULTIPLIER_LIMIT, MULTIPLIER_LIMIT, length),
            rng.integers(1 - BIAS_LIMIT, BIAS_LIMIT, length) >> 2,
        ]
        return self.vectors(random_codes(rng, rows, length), constants)

    def vectors(self, codes: np.ndarray, constants: list[np.ndarray]) -> Vectors:
        """Tokens of codes (tokens, C), and channel shifts, multipliers and biases (C) of all."""
        settings, rows = self.settings, len(codes)
        results = find_operation("ailayernorm").compute(
            codes[None],
            *constants,
            np.full(codes.shape[-1], settings["shift"]),
            zero_x=settings["zero_x"],
            epsilon=settings["epsilon"],
            ranges=self.ranges,
            zero_point=settings["zero_point"],
            low=0,
            high=255,
        )[0]
        data, held, _, last = rows_to_beats(codes - settings["zero_x"], self.lanes)
        shifts, multipliers, biases = (
            rows_to_beats(np.tile(values, (rows, 1)), self.lanes)[0] for values in constants
        )
        expected = pack_lanes(rows_to_beats(results, self.lanes)[0], CODE_BITS)
        ends = pack_lanes(last, 1)
        return Vectors(
            inputs=[
                np.concatenate(
                    [
                        pack_lanes(data + settings["zero_x"], CODE_BITS),
                        pack_lanes(shifts, CHANNEL_SHIFT_BITS),
                    ],
                    axis=1,
                ),
                np.concatenate(
                    [pack_lanes(multipliers, MULTIPLIER_BITS), pack_lanes(biases, BIAS_BITS)],
                    axis=1,
                ),
            ],
            expected=np.concatenate([expected, ends], axis=1),
            mask=np.concatenate(
                [pack_lanes(held * 255, CODE_BITS), np.full_like(ends, 2**32 - 1)], axis=1
            ),
            settings=settings,
            outputs=results.size,
        )


def joined(parts: list[Vectors]) -> Vectors:
    """Vectors of the same settings, one after another."""
    return Vectors(
        inputs=[np.concatenate(words) for words in zip(*(p.inputs for p in parts), strict=True)],
        expected=np.concatenate([part.expected for part in parts]),
        mask=np.concatenate([part.mask for part in parts]),
        settings=parts[0].settings,
        outputs=sum(part.outputs for part in parts),
    )
