"""What a program refuses when it is built, and what it says."""

from __future__ import annotations

import numpy as np
import pytest

from fullint.errors import FullintError
from fullint.integer.ops import OPERATIONS, find_operation
from fullint.integer.program import IntegerProgram, Operation, constant_type
from fullint.integer.types import Operand, TensorType, broadcast_shape, check_zero_point

FLAT = Operation("reshape", ("pixels",), "flat", {"shape": (1, 12)})
CONSTANTS = {"weight": np.ones((3, 12), np.int8), "bias": np.zeros(3, np.int32)}
LINEAR = Operation("linear", ("flat", "weight", "bias"), "logits", source="head")


def build(*operations: Operation, constants=None, **changes) -> IntegerProgram:
    """A program on images of 2 x 2 x 3, but for the changes."""
    arguments = {
        "input_name": "pixels",
        "input_shape": (1, 2, 2, 3),
        "operations": list(operations),
        "constants": CONSTANTS if constants is None else constants,
        "output_name": "logits",
        "logit_scale": 0.5,
    }
    return IntegerProgram(**arguments | changes)


def test_types_of_a_small_program():
    program = build(FLAT, LINEAR)
    assert program.types["pixels"] == TensorType((1, 2, 2, 3), 0, 255)
    assert program.types["weight"] == TensorType((3, 12), 1, 1)
    assert program.output_type == TensorType((1, 3), 0, 12 * 255)
    assert program.output_type.storage == "int16"


def test_constant_bytes_packs_four_bits():
    constants = CONSTANTS | {"weight": np.full((3, 12), 100, np.int8)}
    assert build(FLAT, LINEAR, constants=constants).constant_bytes == 36 + 2
    assert build(FLAT, LINEAR).constant_bytes == 18 + 2


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ([LINEAR, FLAT], "'flat' before it is computed"),
        ([FLAT, LINEAR, LINEAR], "'logits' .* already in use"),
        ([FLAT, Operation("add", ("flat", "flat"), "pixels"), LINEAR], "already in use"),
        ([FLAT, Operation("add", ("flat", "flat"), "weight"), LINEAR], "already in use"),
        ([FLAT, Operation("add", ("sum", "flat"), "sum"), LINEAR], "'sum' before it is computed"),
        ([FLAT], "output 'logits' is never computed"),
        ([], "output 'logits' is never computed"),
        (
            [FLAT, Operation("conv2d", ("flat",), "logits", source="stem")],
            "'conv2d'; there are add,",
        ),
        ([FLAT, Operation("reshape", ("flat",), "logits")], r"attributes \['shape'\], not \[\]"),
        ([FLAT, Operation("add", ("flat", "flat"), "logits", {"dim": 1})], r"not \['dim'\]"),
        ([FLAT, Operation("add", ("flat",), "logits")], "takes 2 inputs, not 1"),
        ([FLAT, Operation("add", ("flat",) * 3, "logits")], "takes 2 inputs, not 3"),
        ([FLAT, Operation("concat", (), "logits", {"dim": 0})], "at least one input"),
        ([FLAT, Operation("reshape", ("flat",), "logits", {"shape": [1, 12]})], "must be tuple"),
        ([FLAT, Operation("reshape", ("flat",), "logits", {"shape": 12})], "must be tuple"),
        ([FLAT, Operation("reshape", ("flat",), "logits", {"shape": (1.0, 12)})], "must be tuple"),
        ([Operation("reshape", ("pixels",), "logits", {"shape": (12,)})], r"not \(1, classes\)"),
        ([Operation("reshape", ("pixels",), "logits", {"shape": (2, 6)})], r"not \(1, classes\)"),
    ],
)
def test_refuses_malformed_programs(operations, message):
    with pytest.raises(FullintError, match=message):
        build(*operations)


@pytest.mark.parametrize("value", [1.0, True, None, "1", (1,), np.int64(1), 2**40 + 1, -(2**70)])
def test_refuses_attributes_that_are_no_plain_integers(value):
    with pytest.raises(FullintError, match="attribute 'dim'"):
        build(FLAT, Operation("slice", ("flat",), "logits", {"dim": value, "start": 0, "stop": 1}))


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.complex64, np.bool_, "U1"]
)
def test_refuses_constants_that_are_no_integers(dtype):
    with pytest.raises(FullintError, match=r"'weight' is .*integers only"):
        build(FLAT, LINEAR, constants=CONSTANTS | {"weight": np.ones((3, 12)).astype(dtype)})


def test_refuses_objects_and_empty_and_wide_constants():
    for weight, message in (
        (np.ones((3, 12), object), "integers only"),
        (np.ones((0, 12), np.int8), "empty"),
        (np.full((3, 12), 2**31), "beyond int32"),
        (np.full((3, 12), -(2**31) - 1), "beyond int32"),
        (np.full((3, 12), 2**64 - 1, np.uint64), "beyond int32"),
    ):
        with pytest.raises(FullintError, match=message):
            build(FLAT, LINEAR, constants=CONSTANTS | {"weight": weight})
    assert constant_type("c", np.array(-5)) == TensorType((), -5, -5)


def test_an_overflow_names_the_operation_and_its_layer():
    weight = np.full((3, 12), 2**20)
    with pytest.raises(FullintError, match=r"'logits' \(linear, head\).*32-bit accumulator"):
        build(FLAT, LINEAR, constants=CONSTANTS | {"weight": weight})


def test_inconsistent_shapes_name_the_operation():
    for operation in (
        Operation("add", ("flat", "weight4"), "logits", source="head"),
        Operation("linear", ("flat", "bias", "bias"), "logits", source="head"),
        Operation("lookup", ("flat", "bias"), "logits", {"offset": 0}, source="head"),
    ):
        with pytest.raises(FullintError, match=r"'logits' \([a-z]+, head\)"):
            build(FLAT, operation, constants=CONSTANTS | {"weight4": np.ones((1, 4), int)})


def test_a_float_never_enters_by_the_result_of_an_operation():
    """Every operation's result is an integer tensor of at most 32 bits, by its type."""
    program = build(FLAT, LINEAR)
    for name in program.types:
        assert program.types[name].numpy_dtype.kind in "iu"


def test_refuses_operations_on_constants_alone():
    """Their result would carry no images."""
    for operation in (
        Operation("add", ("bias", "bias"), "logits"),
        Operation("concat", ("weight", "weight"), "logits", {"dim": 0}),
        Operation("reshape", ("bias",), "logits", {"shape": (1, 3)}),
        Operation("linear", ("weight", "weight", "bias"), "logits"),
    ):
        with pytest.raises(FullintError, match="every input is a constant"):
            build(FLAT, operation)


def test_the_output_must_be_computed_by_an_operation():
    for name in ("pixels", "weight"):
        with pytest.raises(FullintError, match="never computed"):
            build(FLAT, LINEAR, output_name=name)


def test_refuses_an_input_that_is_also_a_constant():
    with pytest.raises(FullintError, match="'weight' has the name of a constant"):
        build(FLAT, LINEAR, input_name="weight")


@pytest.mark.parametrize("shape", [(2, 2, 3), (2, 2, 2, 3), (1, 0, 2, 3), (1, 2, -2, 3), ()])
def test_refuses_input_shapes(shape):
    with pytest.raises(FullintError, match="shape"):
        build(FLAT, LINEAR, input_shape=shape)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf")])
def test_refuses_logit_scales(scale):
    with pytest.raises(FullintError, match="logit_scale"):
        build(FLAT, LINEAR, logit_scale=scale)


def test_the_program_does_not_change_with_the_callers_containers():
    operations, constants = [FLAT, LINEAR], dict(CONSTANTS)
    program = build(operations=operations, constants=constants)
    operations.clear()
    constants.clear()
    assert len(program.operations) == 2 and set(program.constants) == {"weight", "bias"}


def test_every_operation_is_registered_under_its_name_and_documented():
    assert len(OPERATIONS) >= 18
    for name, definition in OPERATIONS.items():
        assert find_operation(name) is definition and definition.name == name
        assert definition.infer.__doc__ and definition.compute.__doc__
    with pytest.raises(FullintError, match="unknown integer operation"):
        find_operation("softmax ")


class TestTensorType:
    @pytest.mark.parametrize(
        ("low", "high", "bits", "storage"),
        [
            (0, 0, 1, "uint8"),
            (0, 15, 4, "uint8"),
            (0, 16, 5, "uint8"),
            (-8, 7, 4, "int8"),
            (-9, 7, 5, "int8"),
            (-1, 0, 1, "int8"),
            (0, 255, 8, "uint8"),
            (0, 256, 9, "int16"),
            (-1, 255, 9, "int16"),
            (-128, 127, 8, "int8"),
            (-129, 127, 9, "int16"),
            (-32768, 32767, 16, "int16"),
            (0, 32768, 16, "int32"),
            (-(2**31), 2**31 - 1, 32, "int32"),
        ],
    )
    def test_bits_and_storage(self, low, high, bits, storage):
        type_ = TensorType((1,), low, high)
        assert (type_.bits, type_.storage) == (bits, storage)
        assert np.iinfo(type_.numpy_dtype).min <= low and high <= np.iinfo(type_.numpy_dtype).max
        type_.require_int32()

    @pytest.mark.parametrize(("low", "high"), [(0, 2**31), (-(2**31) - 1, 0), (0, 2**80)])
    def test_require_int32(self, low, high):
        with pytest.raises(FullintError, match="use fewer bits"):
            TensorType((1,), low, high).require_int32()

    def test_refuses_empty_ranges_and_bad_shapes(self):
        with pytest.raises(FullintError, match="empty range"):
            TensorType((1,), 1, 0)
        for shape in ((0,), (1, -1), (1.0,), ("2",)):
            with pytest.raises(FullintError, match="positive integers"):
                TensorType(shape, 0, 1)

    def test_operands(self):
        computed = Operand(TensorType((2, 3), 0, 1))
        fixed = Operand(TensorType((3,), 1, 1), np.ones(3, np.int8))
        assert computed.is_computed and not fixed.is_computed
        assert fixed.values().dtype == np.int64
        assert broadcast_shape(computed, fixed) == (2, 3)
        with pytest.raises(FullintError, match="computed"):
            computed.values()

    def test_check_zero_point(self):
        check_zero_point(2**31 - 1, 0)
        check_zero_point(2**30, 1 - 2**30)
        for zero_point in (2**30, -(2**30)):
            with pytest.raises(FullintError, match="zero point"):
                check_zero_point(2**30, zero_point)
