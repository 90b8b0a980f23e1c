"""Small models by hand, for tests of saving, loading and inspecting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fullint.integer.metadata import Agreement, Calibration, ModelMetadata, Provenance
from fullint.integer.model import IntegerModel
from fullint.integer.program import IntegerProgram, Operation

HEIGHT, WIDTH, CHANNELS, HIDDEN, CLASSES = 4, 6, 3, 7, 5


@pytest.fixture
def small_program() -> IntegerProgram:
    """Two linear layers (the second of 4-bit weights) with a table and a LayerNorm between."""
    return build_small_program()


@pytest.fixture
def small_metadata() -> ModelMetadata:
    """Every field filled."""
    return ModelMetadata(
        preprocessing={
            "height": HEIGHT,
            "width": WIDTH,
            "channels": CHANNELS,
            "crop_pct": 0.9,
            "crop_mode": "center",
            "interpolation": "bicubic",
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
        class_ids=[f"n0000000{index}" for index in range(CLASSES)],
        class_names=["tench", "crane", "crane", "straße", "鯉"],
        provenance=Provenance(
            model="small_patch4",
            checkpoint="small.safetensors",
            checkpoint_sha256="ab" * 32,
            float_bytes=4000,
            recipe="fq-vit",
            recipe_declaration={"weights": {"num_bits": 8, "symmetric": True}, "ignore": []},
            bits={"weights": 8, "activations": 8, "attention": 4},
            calibration=Calibration(images=128, sha256="cd" * 32, folder="cc-calibration"),
            simulation_agreement=Agreement(images=16, agreeing=15),
            layer_report=[{"layer": "head", "largest_difference": 1, "mean": 0.01}],
            fullint_version="0.1.0",
        ),
        measurements=[{"data": "val", "images": 40, "top1": 80.0, "top1_standard_error": 6.3246}],
    )


@pytest.fixture
def small_model(small_program: IntegerProgram, small_metadata: ModelMetadata) -> IntegerModel:
    """The small program with all its metadata."""
    return IntegerModel(small_program, small_metadata)


def build_small_program() -> IntegerProgram:
    random = np.random.default_rng(0)
    per_row = WIDTH * CHANNELS
    operations = [
        Operation("reshape", ("pixels",), "rows", {"shape": (1, HEIGHT, per_row)}),
        Operation("linear", ("rows", "embed_weight", "embed_bias"), "embed_sums", {}, "embed"),
        Operation(
            "requantize",
            ("embed_sums", "embed_pre_shift", "embed_multiplier", "embed_shift"),
            "embed",
            {"intermediate_bits": 16, "zero_point": 128, "low": 0, "high": 255},
            "embed",
        ),
        Operation("lookup", ("embed", "table"), "activation", {"offset": 0}, "act"),
        Operation(
            "layer_norm",
            ("activation", "channel_shift", "gamma", "beta", "norm_shift"),
            "normalised",
            {"zero_x": 100, "epsilon": 7, "zero_point": 3, "low": -128, "high": 127},
            "norm",
        ),
        Operation("sum", ("normalised",), "pooled", {"dims": (1,), "zero_point": 3}),
        Operation("linear", ("pooled", "head_weight", "head_bias"), "logits", {}, "head"),
    ]
    constants = {
        "embed_weight": random.integers(-127, 128, (HIDDEN, per_row), dtype=np.int64),
        "embed_bias": random.integers(-(2**16), 2**16, HIDDEN, dtype=np.int32),
        "embed_pre_shift": np.full(HIDDEN, 5, dtype=np.uint8),
        "embed_multiplier": random.integers(2**13, 2**14, HIDDEN, dtype=np.int16),
        "embed_shift": np.array(18),
        "table": np.sort(random.integers(0, 256, 256)).astype(np.uint8),
        "channel_shift": np.arange(HIDDEN, dtype=np.uint8) % 2,
        "gamma": random.integers(2**13, 2**14, HIDDEN, dtype=np.int16),
        "beta": random.integers(-(2**17), 2**17, HIDDEN, dtype=np.int32),
        "norm_shift": np.full(HIDDEN, 21, dtype=np.int8),
        # An odd number of 4-bit values, both extremes among them.
        "head_weight": np.resize(np.arange(-8, 8), (CLASSES, HIDDEN)),
        "head_bias": np.array([-300, -1, 0, 1, 300]),
    }
    return IntegerProgram(
        input_name="pixels",
        input_shape=(1, HEIGHT, WIDTH, CHANNELS),
        operations=operations,
        constants=constants,
        output_name="logits",
        logit_scale=0.0125,
    )


@pytest.fixture
def saved(small_model: IntegerModel, tmp_path: Path) -> Path:
    """A folder that the small model was saved in."""
    small_model.save(tmp_path / "model")
    return tmp_path / "model"
