from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from fullint.integer.audit import audit, float_operations
from fullint.integer.interpreter import trace
from fullint.integer.model import IntegerModel, load_model
from fullint.integer.ops import OPERATIONS
from fullint.integer.program import IntegerProgram, Operation


def test_figures(small_program: IntegerProgram) -> None:
    found = audit(small_program)
    assert found.operations == {
        "reshape": 1,
        "linear": 2,
        "requantize": 1,
        "lookup": 1,
        "layer_norm": 1,
        "sum": 1,
    }
    assert found.constants == 12
    assert found.constant_elements == 126 + 7 + 7 + 7 + 1 + 256 + 7 + 7 + 7 + 7 + 35 + 5
    assert found.constant_bytes == {
        "int8": 126,
        "int32": 56,
        "uint4": 8,
        "int16": 38,
        "uint8": 264,
        "int4": 18,
    }
    accumulator = small_program.types["embed_sums"]
    assert found.largest_bits["linear"] == accumulator.bits <= 32
    assert found.largest_bits["lookup"] == 8
    assert found.float_tensors == found.float_operations == ()
    assert float_operations(small_program) == 0


def test_the_saved_program_is_integer(small_model: IntegerModel, tmp_path: Path) -> None:
    """The files themselves, not what the loader makes of them."""
    small_model.save(tmp_path / "model")
    program = json.loads((tmp_path / "model" / "config.json").read_text())["program"]
    for operation in program["operations"]:
        assert operation["kind"] in OPERATIONS
        for value in operation["attributes"].values():
            items = value if isinstance(value, list) else [value]
            assert all(type(item) is int for item in items), operation
    weights = safetensors.numpy.load_file(tmp_path / "model" / "model.safetensors")
    assert {array.dtype.name for array in weights.values()} == {"uint8", "int8", "int16", "int32"}


def test_the_loaded_program_is_integer_while_it_runs(
    small_model: IntegerModel, tmp_path: Path
) -> None:
    small_model.save(tmp_path / "model")
    program = load_model(tmp_path / "model").program
    assert float_operations(program) == 0
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    outputs = []
    for name, values in trace(program, pixels):
        assert values.dtype.kind in "iu", name
        outputs.append(name)
    assert outputs == [operation.output for operation in program.operations]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.bool_])
def test_a_float_constant_is_found(dtype: type, small_program: IntegerProgram) -> None:
    small_program.constants["gamma"] = small_program.constants["gamma"].astype(dtype)
    found = audit(small_program)
    assert found.float_tensors == ("gamma",)
    assert found.float_operations == ("normalised",)
    assert float_operations(small_program) == 2


def test_a_float_constant_that_nothing_reads_is_found(small_program: IntegerProgram) -> None:
    small_program.constants["unused"] = np.ones(3, dtype=np.float32)
    assert float_operations(small_program) == 1


def test_an_unknown_operation_is_found(small_program: IntegerProgram) -> None:
    small_program.operations.append(Operation("gelu", ("logits",), "float_logits"))
    assert audit(small_program).float_operations == ("float_logits",)


@pytest.mark.parametrize("value", [0.5, True, (1, 0.5), np.float32(1)])
def test_an_attribute_that_is_no_integer_is_found(
    value: object, small_program: IntegerProgram
) -> None:
    operation = small_program.operations[2]
    attributes = {**operation.attributes, "zero_point": value}
    small_program.operations[2] = replace(operation, attributes=attributes)  # type: ignore[arg-type]
    assert audit(small_program).float_operations == ("embed",)
