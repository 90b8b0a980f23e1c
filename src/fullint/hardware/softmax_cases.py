"""The softmax units, and their vectors from the NumPy operations."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullint.errors import FullintError
from fullint.hardware.cases import random_codes
from fullint.hardware.pipeline import count_bits
from fullint.hardware.simulation import Vectors
from fullint.hardware.streams import pack_lanes, rows_to_beats
from fullint.hardware.units.e2softmax import CODE_BITS, E2Softmax
from fullint.hardware.units.log2_softmax import Log2Softmax
from fullint.hardware.workload import ModelRun
from fullint.integer.ops import find_operation
from fullint.integer.ops.e2softmax import PUBLISHED_QUOTIENTS
from fullint.integer.softmax_parts import FRACTION_BITS

_IDENTITY = tuple(np.array([part]) for part in (0, 1, 0))


@dataclass(frozen=True)
class E2SoftmaxCase:
    """E2Softmax; scores in steps of 2^-fraction_bits octaves, or nats where `natural`."""

    lanes: int
    row_length: int
    fraction_bits: int = 0
    natural: bool = False
    output_bits: int = 8
    quotients: tuple[int, int] = PUBLISHED_QUOTIENTS
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
            quotients=self.quotients,
            known_maximum=self.known_maximum,
        )

    @property
    def lengths(self) -> Sequence[int]:
        """All lengths of rows that the unit takes."""
        return range(1, self.row_length + 1)

    def random_vectors(self, rng: np.random.Generator, rows: int, length: int) -> Vectors:
        """Rows of a length, of many kinds, the extremes among them."""
        return self.vectors(random_codes(rng, rows, length))

    def model_vectors(self, run: ModelRun) -> list[Vectors]:
        """The rows of all softmax layers."""
        codes = _model_codes(run, self.row_length, self.fraction_bits, self.natural)
        return [self.vectors(codes)]

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
            quotients=self.quotients,
        )[0]
        maxima = codes.max(-1, keepdims=True) if self.known_maximum else None
        return _row_vectors(codes, results, self.lanes, self.output_bits, {}, maxima)


@dataclass(frozen=True)
class Log2SoftmaxCase:
    """The exact softmax on uint8 scores in steps of 2^-fraction_bits octaves; 4-bit codes out."""

    lanes: int
    row_length: int
    fraction_bits: int = 2
    name: str = "log2_softmax"

    @functools.cached_property
    def unit(self) -> Log2Softmax:
        """The hardware."""
        return Log2Softmax(lanes=self.lanes, longest_row=self.row_length)

    @property
    def lengths(self) -> Sequence[int]:
        """All lengths of rows that the unit takes."""
        return range(1, self.row_length + 1)

    def random_vectors(self, rng: np.random.Generator, rows: int, length: int) -> Vectors:
        """Rows of a length, with any factor."""
        factor = int(rng.integers(2**14, 2**15)), int(rng.integers(4, 12))
        return self._vectors(random_codes(rng, rows, length), *factor)

    def model_vectors(self, run: ModelRun) -> list[Vectors]:
        """The rows of all softmax layers."""
        shift = 14 - FRACTION_BITS + self.fraction_bits
        codes = _model_codes(run, self.row_length, self.fraction_bits)
        return [self._vectors(codes, 2**14, shift)]

    def _vectors(self, codes: np.ndarray, multiplier: int, shift: int) -> Vectors:
        settings = {"multiplier": multiplier, "shift": shift, "rounding": 2 ** (FRACTION_BITS - 1)}
        factor = [np.array([part]) for part in (0, multiplier, shift)]
        compute = find_operation("log2_softmax").compute
        results = compute(codes[None], *factor, rounding=settings["rounding"])[0]
        return _row_vectors(codes, results, self.lanes, 4, settings)


def _model_codes(
    run: ModelRun, longest: int, fraction_bits: int, natural: bool = False
) -> np.ndarray:
    if run.longest_row() > longest:
        raise FullintError(
            f"the model's rows have {run.longest_row()} elements, the unit's at most {longest}"
        )
    return run.softmax_codes(fraction_bits, natural)


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
        rows=len(results),
        outputs=results.size,
    )
