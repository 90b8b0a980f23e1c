"""Proof by inspection that a program is integer, and the figures that describe it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fullint.integer.ops import OPERATIONS
from fullint.integer.program import IntegerProgram, Operation
from fullint.integer.storage import storage_type, stored_bytes


@dataclass(frozen=True)
class Audit:
    """What a program consists of.

    Attributes:
        operations: how many of each kind.
        largest_bits: for each kind, the bits that its widest result provably needs; for linear,
            matmul and other sums of products that is the accumulator. Never more than 32.
        constants, constant_elements: how many constants, and how many numbers in them.
        constant_bytes: bytes of the constants when saved, by storage type.
        float_tensors: names of the constants that are not integer.
        float_operations: outputs of the operations that are not: not an operation of the
            specification (all of which map integers to integers), or with an attribute or an input
            that is not integer.
    """

    operations: Mapping[str, int]
    largest_bits: Mapping[str, int]
    constants: int
    constant_elements: int
    constant_bytes: Mapping[str, int]
    float_tensors: tuple[str, ...]
    float_operations: tuple[str, ...]


def audit(program: IntegerProgram) -> Audit:
    """Walk the program as it is now, whatever was proven when it was built."""
    floats = tuple(
        name for name, constant in program.constants.items() if not _is_integer(constant)
    )
    largest_bits: dict[str, int] = {}
    for operation in program.operations:
        if operation.output in program.types:
            bits = program.types[operation.output].bits
            largest_bits[operation.kind] = max(bits, largest_bits.get(operation.kind, 0))
    constant_bytes: Counter[str] = Counter()
    for name, constant in program.constants.items():
        if name not in floats:
            storage = storage_type(constant)
            constant_bytes[storage] += stored_bytes(constant, storage)
    return Audit(
        operations=Counter(operation.kind for operation in program.operations),
        largest_bits=largest_bits,
        constants=len(program.constants),
        constant_elements=sum(constant.size for constant in program.constants.values()),
        constant_bytes=constant_bytes,
        float_tensors=floats,
        float_operations=tuple(
            o.output for o in program.operations if not _is_integer_operation(o, floats)
        ),
    )


def float_operations(program: IntegerProgram) -> int:
    """How many operations and constants are not integer; 0 for every program that can be saved."""
    found = audit(program)
    return len(found.float_operations) + len(found.float_tensors)


def _is_integer(array: np.ndarray) -> bool:
    return array.dtype.kind in "iu"


def _is_integer_operation(operation: Operation, float_tensors: tuple[str, ...]) -> bool:
    values = (
        item
        for value in operation.attributes.values()
        for item in (value if isinstance(value, tuple) else (value,))
    )
    return (
        operation.kind in OPERATIONS
        and all(type(value) is int for value in values)
        and not set(operation.inputs) & set(float_tensors)
    )
