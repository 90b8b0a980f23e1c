"""What units would be sent in a model's run: its softmax rows and LayerNorm tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.interpreter import trace
from fullint.integer.program import IntegerProgram, Operation
from fullint.integer.softmax_parts import FRACTION_BITS, distances_below_maximum

SOFTMAX_KINDS = ("e2softmax", "log2_softmax", "softmax", "table_softmax", "exponentials")
LAYER_NORM_KINDS = ("layer_norm", "ailayernorm")


@dataclass(frozen=True)
class Tokens:
    """Tokens of one LayerNorm.

    Attributes:
        codes: (tokens, channels) in [0, 255].
        constants: channel_shift, multiplier, bias and shift, (channels) each.
        attributes: the operation's, with a zero_x for these codes.
    """

    codes: np.ndarray
    constants: Mapping[str, np.ndarray]
    attributes: Mapping[str, int]


@dataclass(frozen=True)
class ModelRun:
    """The operations of a program that units compute, each with the array it read."""

    program: IntegerProgram
    inputs: Sequence[tuple[Operation, np.ndarray]]

    def operations(self, *kinds: str) -> list[Operation]:
        """Those of these kinds.

        Raises:
            FullintError: there are none.
        """
        found = [operation for operation, _ in self.inputs if operation.kind in kinds]
        if not found:
            raise FullintError(
                f"the model has no {' or '.join(kinds)}; 'fullint quantize --recipe sole' makes "
                "one with e2softmax and ailayernorm"
            )
        return found

    def softmax_codes(self, fraction_bits: int) -> np.ndarray:
        """8-bit codes (rows, length) of the scores of all softmax layers.

        Of `e2softmax` they are what the operation makes of its scores. Of another softmax they are
        the distances below the row's maximum, in steps of 2^-fraction_bits octaves, below 255.
        """
        wanted = self.operations(*SOFTMAX_KINDS)
        found = [
            self._codes(operation, scores.astype(np.int64), fraction_bits)
            for operation, scores in self.inputs
            if operation in wanted
        ]
        longest = max(codes.shape[-1] for codes in found)
        rows = [codes.reshape(-1, longest) for codes in found if codes.shape[-1] == longest]
        return np.concatenate(rows)

    def tokens(self, kind: str) -> list[Tokens]:
        """What every LayerNorm of a kind read; `layer_norm` also of an `ailayernorm`.

        Raises:
            FullintError: there is none, or one reads more than 8 bits.
        """
        wanted = self.operations(*(LAYER_NORM_KINDS if kind == "layer_norm" else (kind,)))
        found = []
        for operation, x in self.inputs:
            if operation in wanted:
                tokens = self._tokens(operation, x.astype(np.int64))
                exact = operation.kind == kind
                found.append(tokens if exact else _with_exact_constants(tokens))
        return found

    def _codes(self, operation: Operation, scores: np.ndarray, fraction_bits: int) -> np.ndarray:
        factor = [self._constant(name) for name in operation.inputs[1:4]]
        if operation.kind == "e2softmax":
            zero_point = operation.attributes["zero_point"]
            assert isinstance(zero_point, int)
            scaled = fixed_point.requantize(scores, *factor, intermediate_bits=16)
            return np.clip(scaled + zero_point, 0, 255)
        distances = distances_below_maximum(scores, *factor)
        shift = FRACTION_BITS - fraction_bits
        return 255 - np.minimum(fixed_point.shift_right(distances, shift), 255)

    def _tokens(self, operation: Operation, x: np.ndarray) -> Tokens:
        low, high = (
            getattr(self.program.types[operation.inputs[0]], end) for end in ("low", "high")
        )
        if high - low > 255:
            raise FullintError(
                f"{operation.output} reads codes of {low} to {high}, and its unit only 8 bits; "
                "quantize with a recipe whose residual stream has 8 bits: sole or fq-vit"
            )
        names = ("channel_shift", "multiplier", "bias", "shift")
        constants = map(self._constant, operation.inputs[1:])
        attributes = {
            key: value for key, value in operation.attributes.items() if isinstance(value, int)
        }
        offset = max(-low, 0)
        attributes["zero_x"] += offset
        codes = x.reshape(-1, x.shape[-1]) + offset
        return Tokens(codes, dict(zip(names, constants, strict=True)), attributes)

    def _constant(self, name: str) -> np.ndarray:
        return self.program.constants[name].astype(np.int64)


def record(program: IntegerProgram, pixels: np.ndarray) -> ModelRun:
    """Run the model in NumPy on uint8 pixels and keep what its softmaxes and LayerNorms read."""
    wanted = [op for op in program.operations if op.kind in SOFTMAX_KINDS + LAYER_NORM_KINDS]
    found = [
        (operation, values)
        for name, values in trace(program, pixels)
        for operation in wanted
        if operation.inputs[0] == name
    ]
    return ModelRun(program, found)


def _with_exact_constants(tokens: Tokens) -> Tokens:
    """The same LayerNorm for `layer_norm`: 4 more bits of the normalised value, 7 of gamma."""
    constants, attributes = tokens.constants, dict(tokens.attributes)
    channels = tokens.codes.shape[-1]
    attributes["epsilon"] = max(1, attributes["epsilon"] * channels**2 // 16)
    del attributes["ranges"]
    return Tokens(
        tokens.codes,
        {
            "channel_shift": constants["channel_shift"],
            "multiplier": constants["multiplier"] << 7,
            "bias": constants["bias"] << 11,
            "shift": constants["shift"] + 11,
        },
        attributes,
    )
