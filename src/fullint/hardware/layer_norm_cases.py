"""The LayerNorm units, and their vectors from the NumPy operations."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fullint.errors import FullintError
from fullint.hardware.cases import random_codes
from fullint.hardware.simulation import Vectors
from fullint.hardware.streams import pack_lanes, rows_to_beats
from fullint.hardware.units.ailayernorm import AILayerNorm
from fullint.hardware.units.layer_norm import LayerNorm
from fullint.hardware.units.layer_norm_frame import (
    CHANNEL_SHIFT_BITS,
    CODE_BITS,
    LayerNormFrame,
)
from fullint.hardware.workload import ModelRun, Tokens
from fullint.integer.ops import find_operation
from fullint.integer.ops.ailayernorm import BIAS_LIMIT, LARGEST_CHANNEL_SHIFT, MULTIPLIER_LIMIT


@dataclass(frozen=True)
class LayerNormCase:
    """The exact LayerNorm on uint8 codes, with results from low to high."""

    lanes: int
    row_length: int
    low: int = 0
    high: int = 255
    name: str = "layer_norm"
    operation: ClassVar[str] = "layer_norm"
    settings: ClassVar[tuple[str, ...]] = ("zero_x", "zero_point", "epsilon")

    @functools.cached_property
    def unit(self) -> LayerNormFrame:
        """The hardware."""
        return LayerNorm(lanes=self.lanes, channels=self.row_length, low=self.low, high=self.high)

    @property
    def lengths(self) -> Sequence[int]:
        """A token's length is the unit's number of channels."""
        return [self.row_length]

    def random_vectors(self, rng: np.random.Generator, rows: int, length: int) -> Vectors:
        """Tokens of many kinds, with any constants."""
        attributes = {
            "zero_x": int(rng.integers(256)),
            "zero_point": int(rng.integers(self.low, self.high + 1)),
            **self._random_attributes(rng),
        }
        constants = {
            "channel_shift": rng.integers(0, LARGEST_CHANNEL_SHIFT + 1, length),
            **self._random_constants(rng, length),
        }
        return self.vectors(Tokens(random_codes(rng, rows, length), constants, attributes))

    def model_vectors(self, run: ModelRun) -> list[Vectors]:
        """The tokens of every LayerNorm, each with constants of its own."""
        found = [t for t in run.tokens(self.operation) if t.codes.shape[-1] == self.row_length]
        if not found:
            raise FullintError(f"the model has no {self.operation} of {self.row_length} channels")
        return [self.vectors(tokens) for tokens in found]

    def vectors(self, tokens: Tokens) -> Vectors:
        """Tokens and what the operation makes of them, clipped to this unit's low and high."""
        attributes = {**tokens.attributes, "low": self.low, "high": self.high}
        compute = find_operation(self.operation).compute
        results = compute(tokens.codes[None], *tokens.constants.values(), **attributes)[0]
        return self._beats(tokens, results)

    def _random_attributes(self, rng: np.random.Generator) -> dict[str, int]:
        return {"epsilon": int(2 ** rng.uniform(0, 30))}

    def _random_constants(self, rng: np.random.Generator, channels: int) -> dict[str, np.ndarray]:
        return {
            "multiplier": rng.integers(1 - 2**15, 2**15, channels),
            "bias": rng.integers(1 - 2**30, 2**30, channels),
            "shift": rng.integers(18, 31, channels),
        }

    def _settings(self, tokens: Tokens) -> dict[str, int]:
        return {name: tokens.attributes[name] for name in self.settings}

    def _beats(self, tokens: Tokens, results: np.ndarray) -> Vectors:
        """Beats of tokens and of their parameters; lanes without a channel hold zero_x."""
        zero_x, rows = tokens.attributes["zero_x"], len(tokens.codes)
        data, held, _, last = rows_to_beats(tokens.codes - zero_x, self.lanes)
        beats = {
            name: rows_to_beats(np.tile(values, (rows, 1)), self.lanes)[0]
            for name, values in tokens.constants.items()
        }
        shifts = pack_lanes(beats["channel_shift"], CHANNEL_SHIFT_BITS)
        unit = self.unit
        fields = {"multiplier": unit.multiplier_bits, "bias": unit.bias_bits}
        fields |= unit.parameter_fields
        parameters = [pack_lanes(beats[name], width) for name, width in fields.items()]
        expected = pack_lanes(rows_to_beats(results, self.lanes)[0], CODE_BITS)
        ends = pack_lanes(last, 1)
        every_bit = np.full_like(ends, 2**32 - 1)
        return Vectors(
            inputs=[
                np.concatenate([pack_lanes(data + zero_x, CODE_BITS), shifts], axis=1),
                np.concatenate(parameters, axis=1),
            ],
            expected=np.concatenate([expected, ends], axis=1),
            mask=np.concatenate([pack_lanes(held * 255, CODE_BITS), every_bit], axis=1),
            settings=self._settings(tokens),
            rows=len(results),
            outputs=results.size,
        )


@dataclass(frozen=True)
class AILayerNormCase(LayerNormCase):
    """AILayerNorm on uint8 codes."""

    ranges: int = 3
    name: str = "ailayernorm"
    operation: ClassVar[str] = "ailayernorm"

    @functools.cached_property
    def unit(self) -> LayerNormFrame:
        """The hardware."""
        return AILayerNorm(
            lanes=self.lanes,
            channels=self.row_length,
            low=self.low,
            high=self.high,
            ranges=self.ranges,
        )

    def vectors(self, tokens: Tokens) -> Vectors:
        """With this unit's ranges."""
        attributes = {**tokens.attributes, "ranges": self.ranges}
        return super().vectors(Tokens(tokens.codes, tokens.constants, attributes))

    def _random_attributes(self, rng: np.random.Generator) -> dict[str, int]:
        return {"epsilon": int(2 ** rng.uniform(4, 20))}

    def _random_constants(self, rng: np.random.Generator, channels: int) -> dict[str, np.ndarray]:
        return {
            "multiplier": rng.integers(1 - MULTIPLIER_LIMIT, MULTIPLIER_LIMIT, channels),
            "bias": rng.integers(1 - BIAS_LIMIT, BIAS_LIMIT, channels) >> 2,
            "shift": np.full(channels, rng.integers(5, 13)),
        }

    def _settings(self, tokens: Tokens) -> dict[str, int]:
        return {**super()._settings(tokens), "shift": int(tokens.constants["shift"][0])}
