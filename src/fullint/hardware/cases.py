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
from fullint.hardware.units.ailayernorm import AILayerNorm
from fullint.hardware.units.e2softmax import E2Softmax
from fullint.hardware.units.layer_norm import LayerNorm
from fullint.hardware.units.layer_norm_frame import CHANNEL_SHIFT_BITS, CODE_BITS
from fullint.hardware.units.log2_softmax import Log2Softmax
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
        maxima = codes.max(-1, keepdims=True) if self.known_maximum else None
        return _row_vectors(codes, results, self.lanes, self.output_bits, {}, maxima)


@dataclass(frozen=True)
class Log2SoftmaxCase:
    """The exact softmax on uint8 scores, 4-bit codes out."""

    lanes: int
    row_length: int
    name: str = "log2_softmax"
    settings: Mapping[str, int] = field(
        default_factory=lambda: {"multiplier": 18022, "shift": 7, "rounding": 512}
    )

    @functools.cached_property
    def unit(self) -> Log2Softmax:
        """The hardware."""
        return Log2Softmax(lanes=self.lanes, longest_row=self.row_length)

    def random_vectors(self, rng: np.random.Generator, rows: int, length: int) -> Vectors:
        """Rows of a length, of many kinds, the extremes among them."""
        codes = random_codes(rng, rows, length)
        factor = [np.array([0])] + [
            np.array([self.settings[name]]) for name in ("multiplier", "shift")
        ]
        compute = find_operation("log2_softmax").compute
        results = compute(codes[None], *factor, rounding=self.settings["rounding"])[0]
        return _row_vectors(codes, results, self.lanes, 4, self.settings)


def _row_vectors(
    codes: np.ndarray,
    results: np.ndarray,
    lanes: int,
    output_bits: int,
    settings: Mapping[str, int],
    maxima: np.ndarray | None = None,
) -> Vectors:
    """Beats of rows (rows, length), with the maximum (rows, 1) in each if there is one."""
    data, held, count, last = rows_to_beats(codes, lanes)
    tail = [pack_lanes(count, count_bits(lanes)), pack_lanes(last, 1)]
    inputs = [pack_lanes(data, CODE_BITS)]
    if maxima is not None:
        inputs.append(pack_lanes(np.repeat(maxima, len(data) // len(codes), 0), CODE_BITS))
    expected = pack_lanes(rows_to_beats(results, lanes)[0], output_bits)
    mask = pack_lanes(held * ((1 << output_bits) - 1), output_bits)
    all_ones = [np.full_like(words, 2**32 - 1) for words in tail]
    return Vectors(
        inputs=[np.concatenate([*inputs, *tail], axis=1)],
        expected=np.concatenate([expected, *tail], axis=1),
        mask=np.concatenate([mask, *all_ones], axis=1),
        settings=settings,
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
        constants = {
            "channel_shift": rng.integers(0, LARGEST_CHANNEL_SHIFT + 1, length),
            "multiplier": rng.integers(1 - MULTIPLIER_LIMIT, MULTIPLIER_LIMIT, length),
            "bias": rng.integers(1 - BIAS_LIMIT, BIAS_LIMIT, length) >> 2,
            "shift": np.full(length, self.settings["shift"]),
        }
        codes = random_codes(rng, rows, length)
        results = _layer_norm(self, "ailayernorm", codes, constants, ranges=self.ranges)
        fields = {"multiplier": AILayerNorm.multiplier_bits, "bias": AILayerNorm.bias_bits}
        return _token_vectors(self, codes, constants, fields, results)


@dataclass(frozen=True)
class LayerNormCase:
    """The exact LayerNorm on uint8 codes."""

    lanes: int
    row_length: int
    name: str = "layer_norm"
    settings: Mapping[str, int] = field(
        default_factory=lambda: {"zero_x": 117, "zero_point": 100, "epsilon": 3}
    )

    @functools.cached_property
    def unit(self) -> LayerNorm:
        """The hardware."""
        return LayerNorm(lanes=self.lanes, channels=self.row_length)

    def random_vectors(self, rng: np.random.Generator, rows: int, length: int) -> Vectors:
        """Tokens of many kinds; a token's length is the unit's number of channels."""
        constants = {
            "channel_shift": rng.integers(0, LARGEST_CHANNEL_SHIFT + 1, length),
            "multiplier": rng.integers(1 - 2**15, 2**15, length),
            "bias": rng.integers(1 - 2**30, 2**30, length),
            "shift": rng.integers(18, 31, length),
        }
        codes = random_codes(rng, rows, length)
        results = _layer_norm(self, "layer_norm", codes, constants)
        fields = {"multiplier": LayerNorm.multiplier_bits, "bias": LayerNorm.bias_bits}
        fields |= LayerNorm.parameter_fields
        return _token_vectors(self, codes, constants, fields, results)


def _layer_norm(
    case: AILayerNormCase | LayerNormCase,
    operation: str,
    codes: np.ndarray,
    constants: Mapping[str, np.ndarray],
    **attributes: int,
) -> np.ndarray:
    attributes |= {name: case.settings[name] for name in ("zero_x", "zero_point", "epsilon")}
    compute = find_operation(operation).compute
    return compute(codes[None], *constants.values(), low=0, high=255, **attributes)[0]


def _token_vectors(
    case: AILayerNormCase | LayerNormCase,
    codes: np.ndarray,
    constants: Mapping[str, np.ndarray],
    fields: Mapping[str, int],
    results: np.ndarray,
) -> Vectors:
    """Beats of tokens and of their parameters, `fields` with their widths."""
    zero_x, rows = case.settings["zero_x"], len(codes)
    data, held, _, last = rows_to_beats(codes - zero_x, case.lanes)
    beats = {
        name: rows_to_beats(np.tile(values, (rows, 1)), case.lanes)[0]
        for name, values in constants.items()
    }
    shifts = pack_lanes(beats["channel_shift"], CHANNEL_SHIFT_BITS)
    parameters = [pack_lanes(beats[name], width) for name, width in fields.items()]
    expected = pack_lanes(rows_to_beats(results, case.lanes)[0], CODE_BITS)
    ends = pack_lanes(last, 1)
    return Vectors(
        inputs=[
            np.concatenate([pack_lanes(data + zero_x, CODE_BITS), shifts], axis=1),
            np.concatenate(parameters, axis=1),
        ],
        expected=np.concatenate([expected, ends], axis=1),
        mask=np.concatenate(
            [pack_lanes(held * 255, CODE_BITS), np.full_like(ends, 2**32 - 1)], axis=1
        ),
        settings=case.settings,
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
