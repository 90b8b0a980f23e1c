"""What units would be sent in a model's run: its softmax rows and LayerNorm tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.interpreter import trace
from fullint.integer.program import IntegerProgram, Operation
from fullint.integer.softmax_parts import FRACTION_BITS

CODE_KINDS = ("e2softmax", "itamax")  # these make 8-bit codes of their scores themselves
SOFTMAX_KINDS = (
    *CODE_KINDS,
    *("log2_softmax", "softmax", "table_softmax", "exponentials", "shiftmax"),
)
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

    def longest_row(self) -> int:
        """Elements of the longest row that a softmax reads."""
        return max(scores.shape[-1] for _, scores in self._scores())

    def softmax_codes(self, fraction_bits: int, natural: bool = False) -> np.ndarray:
        """8-bit codes (rows, length) of the scores of all softmax layers with the longest rows, in
        steps of 2^-fraction_bits octaves (nats where `natural`).

        Of an operation that makes such codes itself they are its own; else 255 less the distances
        below the row's maximum, at most 255.
        """
        longest = self.longest_row()
        found = [
            self._codes(operation, scores.astype(np.int64), fraction_bits, natural)
            for operation, scores in self._scores()
            if scores.shape[-1] == longest
        ]
        return np.concatenate([codes.reshape(-1, longest) for codes in found])

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

    def _scores(self) -> list[tuple[Operation, np.ndarray]]:
        wanted = self.operations(*SOFTMAX_KINDS)
        return [(operation, scores) for operation, scores in self.inputs if operation in wanted]

    def _codes(
        self, operation: Operation, scores: np.ndarray, fraction_bits: int, natural: bool
    ) -> np.ndarray:
        pre_shift, multiplier, shift = (self._constant(name) for name in operation.inputs[1:4])
        own_bits = _number(operation, "fraction_bits", FRACTION_BITS)
        own_natural = bool(_number(operation, "natural", 0))
        if operation.kind in CODE_KINDS and (own_bits, own_natural) == (fraction_bits, natural):
            scaled = fixed_point.requantize(
                scores, pre_shift, multiplier, shift, intermediate_bits=16
            )
            return np.clip(scaled + _number(operation, "zero_point", 0), 0, 255)
        steps = _steps_an_octave(fraction_bits, natural) / _steps_an_octave(own_bits, own_natural)
        below = scores.max(axis=-1, keepdims=True) - scores
        distances = below * (multiplier * 2.0 ** -(pre_shift + shift) * steps)
        return 255 - np.minimum(np.rint(distances), 255).astype(np.int64)

    def _tokens(self, operation: Operation, x: np.ndarray) -> Tokens:
        low, high = (
            getattr(self.program.types[operation.inputs[0]], end) for end in ("low", "high")
        )
        if high - low > 255:
            raise FullintError(
                f"{operation.output} reads codes of {low} to {high}, and its unit only 8 bits; "
                "quantize with a recipe whose residual stream has 8 bits: sole or fq-vit"
            )
        given = (_number(operation, "low", 0), _number(operation, "high", 255))
        if given[1] - given[0] > 255:
            raise FullintError(
                f"{operation.output} gives codes of {given[0]} to {given[1]}, and its unit only 8 "
                "bits; quantize with a recipe whose 'normalized' has 8 bits"
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


def _number(operation: Operation, attribute: str, default: int) -> int:
    value = operation.attributes.get(attribute, default)
    assert isinstance(value, int)
    return value


def _steps_an_octave(fraction_bits: int, natural: bool) -> float:
    """The operations take 16/23 nats for an octave."""
    return 2.0**fraction_bits * (16 / 23 if natural else 1)


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
