"""Weights of 4 bits, with and without zero points: packed in the program, packed in the engine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullint.engine import Engine, supported_isas
from fullint.integer.constant_table import ConstantTable, PackedConstant
from fullint.integer.program import IntegerProgram
from fullint.integer.storage import PACKED_TYPES, pack, storage_type

from .comparison import assert_engine_equals_interpreter
from .programs import RANGES, ProgramBuilder
from .strategies import bytes_types, check, examples, seeds

GRIDS = ["symmetric", "zero points", "zero everywhere", "positive", "far rows"]


def weights_on(builder: ProgramBuilder, grid: str, outputs: int, inputs: int) -> np.ndarray:
    """Rows that span at most 15: around zero, or ("far rows") anywhere in int8."""
    nibbles = builder.integers(0, 15, (outputs, inputs))
    low, high = {
        "symmetric": (-8, -8),
        "zero points": (-15, 0),
        "zero everywhere": (0, 0),
        "positive": (0, 0),
        "far rows": (-128, 112),
    }[grid]
    starts = builder.integers(low, high, (outputs, 1))
    return np.zeros_like(nibbles) if grid == "zero everywhere" else nibbles + starts


def packed(program: IntegerProgram) -> IntegerProgram:
    """The same program, its constants of 4 bits as a file holds them."""
    constants = {}
    for name, values in program.constants.items():
        storage = storage_type(values)
        constants[name] = (
            PackedConstant.of(pack(values, storage), values.shape, storage)
            if storage in PACKED_TYPES
            else values
        )
    return IntegerProgram(
        input_name=program.input_name,
        input_shape=program.input_shape,
        operations=program.operations,
        constants=constants,
        output_name=program.output_name,
        logit_scale=program.logit_scale,
    )


@examples
@given(
    seeds,
    st.sampled_from(GRIDS),
    st.sampled_from(["uint8", "int8", "int16"]),
    st.integers(1, 200),
    st.integers(1, 70),
    st.integers(1, 40),
    st.booleans(),
)
def test_linear(seed, grid, kind, depth, width, rows, is_packed):
    builder = ProgramBuilder(seed)
    x = builder.operand((1, rows, depth), *RANGES[kind])
    weight = builder.constant(weights_on(builder, grid, width, depth))
    bias = builder.constant(builder.integers(-(2**15), 2**15, (width,)))
    x = builder.add("linear", [x, weight, bias], (1, rows, width))
    if is_packed:
        assert_engine_equals_interpreter(packed(builder.finish(x)))
    else:
        check(builder, x)


@given(seeds, bytes_types)
def test_weights_that_others_read_too(seed, kind):
    builder = ProgramBuilder(seed)
    x = builder.operand((1, 20, 20), *RANGES[kind])
    shared = builder.constant(weights_on(builder, "zero points", 20, 20))
    bias = builder.constant(builder.integers(-9, 9, (20,)))
    layers = [builder.add("linear", [x, shared, bias], (1, 20, 20)) for _ in range(2)]
    x = builder.add("add", [*layers], (1, 20, 20))
    assert_engine_equals_interpreter(
        packed(builder.finish(builder.add("add", [x, shared], (1, 20, 20))))
    )


@pytest.mark.parametrize("isa", supported_isas())
@pytest.mark.parametrize("grid", ["symmetric", "zero points"])
def test_the_engine_holds_half_a_byte_a_weight(isa, grid):
    def held(weights: np.ndarray) -> int:
        x = builder.operand((1, 1, 512), 0, 255)
        bias = builder.constant(np.zeros(256, int))
        names = [builder.constant(weights), bias]
        program = builder.finish(builder.add("linear", [x, *names], (1, 1, 256)))
        return Engine(packed(program), isa=isa).held_bytes

    builder = ProgramBuilder(0)
    whole = held(builder.integers(-128, 127, (256, 512)))
    builder = ProgramBuilder(0)
    half = held(weights_on(builder, grid, 256, 512))
    assert 60_000 < whole - half < 66_000


def test_reading_a_packed_constant_gives_its_values():
    values = np.array([[-15, 0, -3, -1, -2], [-8, 7, 0, 1, 2]])
    table = ConstantTable(
        {"weight": PackedConstant.of(pack(values, "row_uint4"), (2, 5), "row_uint4")}
    )
    np.testing.assert_array_equal(table["weight"], values)
    assert table.packed("weight").stored.nbytes == 2 + 5
    table["weight"] = values + 100
    assert table.packed("weight") is None
    assert table["weight"].max() == 107
