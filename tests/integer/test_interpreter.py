"""The interpreter runs what the operations say, image by image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer import interpreter
from fullint.integer.program import IntegerProgram, Operation

from .oracles import compute

TOKENS, CHANNELS, HEADS, CLASSES = 4, 8, 2, 5


def attention_block(seed: int = 0) -> IntegerProgram:
    """One transformer block on 4 patches of 2 x 2 pixels, with operations of every kind."""
    rng = np.random.default_rng(seed)
    eight = np.int8
    constants = {
        "patch_weight": rng.integers(-128, 128, (CHANNELS, 12), eight),
        "patch_bias": rng.integers(-1000, 1000, CHANNELS, np.int32),
        "class_token": rng.integers(-128, 128, (1, 1, CHANNELS), eight),
        "position": rng.integers(-128, 128, (1, TOKENS + 1, CHANNELS), eight),
        "shift_0": np.zeros(CHANNELS, eight),
        "norm_shift": np.full(CHANNELS, 20, eight),
        "multiplier": rng.integers(2**13, 2**14, CHANNELS, np.int16),
        "norm_bias": rng.integers(-(2**24), 2**24, CHANNELS, np.int32),
        "qkv_weight": rng.integers(-128, 128, (3 * CHANNELS, CHANNELS), eight),
        "qkv_bias": rng.integers(-1000, 1000, 3 * CHANNELS, np.int32),
        "one_shift": np.array([22], eight),
        "one_multiplier": np.array([20_000], np.int16),
        "none": np.array([0], eight),
        "eight": np.array([8], eight),
        "sixteen": np.array([16], eight),
        "levels": np.round(2**14 * np.exp2(-np.arange(2**14) / 1024)).astype(np.int16)[None],
        "table": rng.integers(-128, 128, 256, eight),
        "head_weight": rng.integers(-128, 128, (CLASSES, CHANNELS), eight),
        "head_bias": rng.integers(-1000, 1000, CLASSES, np.int32),
    }
    one = ("none", "one_multiplier", "one_shift")
    steep = ("none", "one_multiplier", "sixteen")
    to_eight = {"intermediate_bits": 16, "zero_point": 3, "low": -128, "high": 127}
    heads = {"shape": (1, TOKENS + 1, 3, HEADS, CHANNELS // HEADS)}

    def part(name: str, index: int) -> list[Operation]:
        taken = {"dim": 2, "start": index, "stop": index + 1}
        shape = (1, TOKENS + 1, HEADS, CHANNELS // HEADS)
        return [
            Operation("slice", ("heads",), f"{name}_slice", taken),
            Operation("reshape", (f"{name}_slice",), f"{name}_tokens", {"shape": shape}),
        ]

    by_head = {"dims": (0, 2, 1, 3)}
    operations = [
        Operation("reshape", ("pixels",), "grid", {"shape": (1, 2, 2, 2, 2, 3)}),
        Operation("permute", ("grid",), "patches", {"dims": (0, 1, 3, 2, 4, 5)}),
        Operation("reshape", ("patches",), "flat", {"shape": (1, TOKENS, 12)}),
        Operation("linear", ("flat", "patch_weight", "patch_bias"), "embedded"),
        Operation("requantize", ("embedded", *one), "tokens", to_eight),
        Operation("concat", ("class_token", "tokens"), "joined", {"dim": 1}),
        Operation(
            "rescaled_add",
            ("joined", "position", "one_multiplier", "one_multiplier", "one_shift"),
            "residual",
            {"zero_a": 3, "zero_b": 0, "zero_point": 0, "low": -128, "high": 127},
        ),
        Operation("add", ("residual", "joined"), "stream"),
        Operation(
            "layer_norm",
            ("stream", "shift_0", "multiplier", "norm_bias", "norm_shift"),
            "norm",
            {"zero_x": 0, "epsilon": 5, "zero_point": 0, "low": -128, "high": 127},
        ),
        Operation("roll", ("norm",), "rolled", {"shifts": (1,), "dims": (1,)}),
        Operation("linear", ("rolled", "qkv_weight", "qkv_bias"), "qkv_sums"),
        Operation("requantize", ("qkv_sums", *one), "qkv", to_eight),
        Operation("reshape", ("qkv",), "heads", heads),
        *part("q", 0),
        *part("k", 1),
        *part("v", 2),
        Operation("permute", ("q_tokens",), "q", by_head),
        Operation("permute", ("k_tokens",), "k", {"dims": (0, 2, 3, 1)}),
        Operation("permute", ("v_tokens",), "v", by_head),
        Operation("matmul", ("q", "k"), "scores", {"zero_a": 3, "zero_b": 3}),
        Operation("log2_softmax", ("scores", *steep), "codes", {"rounding": 512}),
        Operation("shift_matmul", ("codes", "v"), "shifted", {"zero_b": 3}),
        Operation("softmax", ("scores", *steep), "map"),
        Operation("matmul", ("map", "v"), "mapped", {"zero_a": 0, "zero_b": 3}),
        Operation("exponentials", ("scores", *steep), "unnormalised"),
        Operation(
            "weighted_average",
            ("unnormalised", "v"),
            "averaged",
            {"zero_v": 3, "value_bits": 8, "fraction_bits": 4},
        ),
        Operation("table_softmax", ("scores", *steep, "levels"), "level_map"),
        Operation("matmul", ("level_map", "v"), "levelled", {"zero_a": 0, "zero_b": 3}),
        Operation("add", ("levelled", "mapped"), "levels_and_map"),
        Operation("add", ("shifted", "levels_and_map"), "two"),
        Operation("add", ("two", "averaged"), "three"),
        Operation("permute", ("three",), "context", by_head),
        Operation("reshape", ("context",), "merged", {"shape": (1, TOKENS + 1, CHANNELS)}),
        Operation(
            "requantize",
            ("merged", "eight", "one_multiplier", "one_shift"),
            "merged_codes",
            to_eight,
        ),
        Operation("lookup", ("merged_codes", "table"), "activated", {"offset": -128}),
        Operation("sum", ("activated",), "pooled", {"dims": (1,), "zero_point": 2}),
        Operation("linear", ("pooled", "head_weight", "head_bias"), "logits"),
    ]
    return IntegerProgram(
        input_name="pixels",
        input_shape=(1, 4, 4, 3),
        operations=operations,
        constants=constants,
        output_name="logits",
        logit_scale=1e-3,
    )


PROGRAM = attention_block()


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)


def one_by_one(program: IntegerProgram, image: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor for one image, each operation called directly on int64 arrays."""
    tensors = {name: array.astype(np.int64) for name, array in program.constants.items()}
    tensors["pixels"] = image[None, None].astype(np.int64)
    for operation in program.operations:
        inputs = [tensors[name] for name in operation.inputs]
        tensors[operation.output] = compute(operation.kind, *inputs, **operation.attributes)
    return tensors


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 9])
def test_every_batch_size(count):
    pixels = images(count)
    logits = interpreter.run(PROGRAM, pixels)
    assert logits.shape == (count, CLASSES) and logits.dtype == np.int32
    for image, row in zip(pixels, logits, strict=True):
        assert (one_by_one(PROGRAM, image)["logits"] == row).all()


@given(st.integers(0, 2**32))
def test_every_tensor_equals_the_operations_and_lies_in_its_range(seed):
    program, pixels = attention_block(seed), images(3, seed)
    pixels[0] = 255 * (seed % 2)
    expected = [one_by_one(program, image) for image in pixels]
    names = []
    for name, values in interpreter.trace(program, pixels):
        names.append(name)
        type_ = program.types[name]
        assert values.dtype == type_.numpy_dtype
        assert values.shape == (3, *type_.shape)
        assert type_.low <= values.min() and values.max() <= type_.high
        for image, tensors in enumerate(expected):
            assert (values[image] == tensors[name][0]).all(), name
    assert names == [operation.output for operation in program.operations]


def test_the_block_is_alive():
    """The test program is no constant: its tensors vary over images, codes use their range."""
    values = dict(interpreter.trace(PROGRAM, images(8)))
    for name in ("tokens", "norm", "scores", "codes", "map", "unnormalised", "activated", "logits"):
        assert len(np.unique(values[name])) > 3, name
        assert values[name].std(axis=0).max() > 0, name


def test_a_trace_of_no_images_has_every_tensor_empty():
    for name, values in interpreter.trace(PROGRAM, images(0)):
        assert values.shape == (0, *PROGRAM.types[name].shape)


def test_inputs_are_left_alone():
    pixels = images(3)
    before = pixels.copy()
    constants = {name: array.copy() for name, array in PROGRAM.constants.items()}
    interpreter.run(PROGRAM, pixels)
    assert (pixels == before).all()
    assert all((PROGRAM.constants[name] == array).all() for name, array in constants.items())


def test_a_tensor_read_twice_by_one_operation_and_an_unread_one():
    program = IntegerProgram(
        input_name="pixels",
        input_shape=(1, 2, 2, 1),
        operations=[
            Operation("reshape", ("pixels",), "flat", {"shape": (1, 4)}),
            Operation("add", ("flat", "flat"), "logits"),
            Operation("add", ("logits", "flat"), "unread"),
        ],
        constants={},
        output_name="logits",
        logit_scale=1.0,
    )
    pixels = np.arange(24, dtype=np.uint8).reshape(6, 2, 2, 1)
    assert (interpreter.run(program, pixels) == 2 * pixels.reshape(6, 4).astype(int)).all()


@pytest.mark.parametrize(
    "pixels",
    [
        images(2).astype(np.float32),
        images(2).astype(np.int64),
        images(2).astype(np.int8),
        images(2).transpose(0, 3, 1, 2),
        images(2).reshape(2, 2, 8, 3),
        images(2)[0],
        images(2)[None],
    ],
)
def test_refuses_pixels_of_another_type_or_shape(pixels):
    """Also where the number of elements fits, as channels in front do."""
    with pytest.raises(FullintError, match=r"reads uint8 images of shape"):
        interpreter.run(PROGRAM, pixels)
