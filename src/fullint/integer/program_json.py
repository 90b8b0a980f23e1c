"""A program as JSON: its operations, and a table of its constants without their values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import numpy as np

from fullint.errors import FullintError
from fullint.integer import strict_json
from fullint.integer.checks import MAXIMUM_CONSTANT_ELEMENTS, MAXIMUM_OPERATIONS, MAXIMUM_RANK
from fullint.integer.constant_table import PackedConstant
from fullint.integer.program import Attribute, IntegerProgram, Operation
from fullint.integer.storage import StorageType, storage_type

_OPERATION_FIELDS = ("kind", "inputs", "output", "attributes", "source")


class StoredConstant(NamedTuple):
    """Shape and storage type of a constant."""

    shape: tuple[int, ...]
    storage: StorageType


def encode_program(program: IntegerProgram) -> dict[str, Any]:
    """Everything but the constants."""
    return {
        "input": {"name": program.input_name, "shape": list(program.input_shape)},
        "output": program.output_name,
        "logit_scale": program.logit_scale,
        "operations": [_encode_operation(operation) for operation in program.operations],
    }


def decode_program(
    value: object, constants: Mapping[str, np.ndarray | PackedConstant]
) -> IntegerProgram:
    """The inverse; the program's own type rules then check every operation."""
    given_input, output, logit_scale, operations = strict_json.fields(
        value, "program", ("input", "output", "logit_scale", "operations")
    )
    input_name, input_shape = strict_json.fields(given_input, "program.input", ("name", "shape"))
    if not isinstance(logit_scale, float):
        raise FullintError(
            f"program.logit_scale is {strict_json.brief(logit_scale)}, expected a number"
        )
    listed = strict_json.sequence(operations, "program.operations")
    if len(listed) > MAXIMUM_OPERATIONS:
        raise FullintError(
            f"program.operations holds {len(listed)} operations, beyond {MAXIMUM_OPERATIONS}"
        )
    return IntegerProgram(
        input_name=strict_json.text(input_name, "program.input.name"),
        input_shape=decode_shape(input_shape, "program.input.shape"),
        operations=[
            _decode_operation(item, f"program.operations[{i}]") for i, item in enumerate(listed)
        ],
        constants=constants,
        output_name=strict_json.text(output, "program.output"),
        logit_scale=logit_scale,
    )


def encode_constants(constants: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Shape and storage type of every constant."""
    return {
        name: {"shape": list(constant.shape), "storage": storage_type(constant)}
        for name, constant in constants.items()
    }


def decode_constants(value: object) -> dict[str, StoredConstant]:
    """The inverse, with every size within its limit."""
    result = {}
    for name, entry in strict_json.mapping(value, "constants").items():
        where = f"constants.{strict_json.text(name, 'the name of a constant')}"
        given_shape, storage = strict_json.fields(entry, where, ("shape", "storage"))
        shape = decode_shape(given_shape, f"{where}.shape")
        if math.prod(shape) > MAXIMUM_CONSTANT_ELEMENTS:
            raise FullintError(
                f"{where}.shape is {shape}, beyond {MAXIMUM_CONSTANT_ELEMENTS} elements"
            )
        if storage not in get_args(StorageType):
            expected = ", ".join(get_args(StorageType))
            raise FullintError(
                f"{where}.storage is {strict_json.brief(storage)}, expected one of {expected}"
            )
        result[name] = StoredConstant(shape, storage)
    in_runs = sum(math.prod(shape) for shape, storage in result.values() if storage == "runs")
    if in_runs > MAXIMUM_CONSTANT_ELEMENTS:
        raise FullintError(
            f"the constants that are runs have {in_runs} elements together, beyond "
            f"{MAXIMUM_CONSTANT_ELEMENTS}"
        )
    return result


def decode_shape(value: object, where: str) -> tuple[int, ...]:
    """A list of positive sizes."""
    sizes = strict_json.sequence(value, where)
    if len(sizes) > MAXIMUM_RANK:
        raise FullintError(f"{where} has {len(sizes)} axes, beyond {MAXIMUM_RANK}")
    return tuple(strict_json.integer(size, where, 1, 2**31 - 1) for size in sizes)


def _encode_operation(operation: Operation) -> dict[str, Any]:
    attributes = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in operation.attributes.items()
    }
    return {
        "kind": operation.kind,
        "inputs": list(operation.inputs),
        "output": operation.output,
        "attributes": attributes,
        "source": operation.source,
    }


def _decode_operation(value: object, where: str) -> Operation:
    kind, inputs, output, attributes, source = strict_json.fields(value, where, _OPERATION_FIELDS)
    return Operation(
        kind=strict_json.text(kind, f"{where}.kind"),
        inputs=tuple(
            strict_json.text(name, f"{where}.inputs")
            for name in strict_json.sequence(inputs, f"{where}.inputs")
        ),
        output=strict_json.text(output, f"{where}.output"),
        attributes={
            strict_json.text(name, f"{where}.attributes"): _decode_attribute(
                item, f"{where}.attributes.{name}"
            )
            for name, item in strict_json.mapping(attributes, f"{where}.attributes").items()
        },
        source=strict_json.text(source, f"{where}.source"),
    )


def _decode_attribute(value: object, where: str) -> Attribute:
    low, high = -(2**63), 2**63 - 1
    if isinstance(value, list):
        return tuple(strict_json.integer(item, where, low, high) for item in value)
    return strict_json.integer(value, where, low, high)
