"""What a unit would be sent in a model's run: real rows for its vectors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fullint.errors import FullintError
from fullint.integer import fixed_point
from fullint.integer.interpreter import trace
from fullint.integer.program import IntegerProgram, Operation
from fullint.integer.softmax_parts import FRACTION_BITS, distances_below_maximum

SOFTMAX_KINDS = ("e2softmax", "log2_softmax", "softmax", "table_softmax", "exponentials")


def softmax_rows(program: IntegerProgram, pixels: np.ndarray, fraction_bits: int) -> np.ndarray:
    """8-bit codes (rows, length) of the scores of all softmax layers, in a run on `pixels`.

    Of `e2softmax` they are what the operation makes of its scores. Of another softmax they are the
    distances below the row's maximum, in steps of 2^-fraction_bits octaves, below 255.

    Raises:
        FullintError: the program has no softmax.
    """
    wanted = [op for op in program.operations if op.kind in SOFTMAX_KINDS]
    if not wanted:
        raise FullintError("the model has no softmax whose scores a unit could be sent")
    constants = {name: values.astype(np.int64) for name, values in program.constants.items()}
    rows = [
        _codes(operation, scores.astype(np.int64), constants, fraction_bits)
        for name, scores in trace(program, pixels)
        for operation in wanted
        if operation.inputs[0] == name
    ]
    longest = max(codes.shape[-1] for codes in rows)
    return np.concatenate(
        [codes.reshape(-1, longest) for codes in rows if codes.shape[-1] == longest]
    )


def _codes(
    operation: Operation,
    scores: np.ndarray,
    constants: Mapping[str, np.ndarray],
    fraction_bits: int,
) -> np.ndarray:
    factor = [constants[name] for name in operation.inputs[1:4]]
    if operation.kind == "e2softmax":
        zero_point = operation.attributes["zero_point"]
        assert isinstance(zero_point, int)
        scaled = fixed_point.requantize(scores, *factor, intermediate_bits=16)
        return np.clip(scaled + zero_point, 0, 255)
    distances = distances_below_maximum(scores, *factor)
    return 255 - np.minimum(fixed_point.shift_right(distances, FRACTION_BITS - fraction_bits), 255)
