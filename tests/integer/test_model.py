from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fullint.errors import FullintError
from fullint.integer.metadata import ModelMetadata, Provenance
from fullint.integer.model import IntegerModel, load_model
from fullint.integer.program import IntegerProgram, Operation

SIZE = (4, 6, 3)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (6, *SIZE), dtype=np.uint8)


class FromArray:
    """Something that np.asarray takes, as a torch tensor is."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array


class Unconvertible:
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError("can't convert a cuda tensor to numpy")


def test_logits(small_model: IntegerModel, pixels: np.ndarray) -> None:
    logits = small_model(pixels)
    assert logits.dtype == np.int32
    assert logits.shape == (6, 5)
    assert len(np.unique(logits, axis=0)) == 6


def test_every_layout_and_kind_of_array_gives_the_same(
    small_model: IntegerModel, pixels: np.ndarray
) -> None:
    expected = small_model(pixels)
    read_only = pixels.copy()
    read_only.flags.writeable = False
    spread = np.zeros((12, 4, 6, 6), dtype=np.uint8)[::2, :, :, ::2]
    spread[:] = pixels
    channels_first = pixels.transpose(0, 3, 1, 2)
    for images in (
        read_only,
        spread,
        channels_first,
        np.ascontiguousarray(channels_first),
        FromArray(pixels),
        list(pixels),
        np.asfortranarray(pixels),
    ):
        np.testing.assert_array_equal(small_model(images), expected)


def test_one_image_and_none(small_model: IntegerModel, pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(small_model(pixels[:1]), small_model(pixels)[:1])
    assert small_model(pixels[:0]).shape == (0, 5)
    assert small_model(pixels[:0]).dtype == np.int32


def test_a_shape_that_fits_both_layouts_has_channels_last() -> None:
    program = IntegerProgram(
        input_name="pixels",
        input_shape=(1, 3, 3, 3),
        operations=[Operation("reshape", ("pixels",), "logits", {"shape": (1, 27)})],
        constants={},
        output_name="logits",
        logit_scale=1.0,
    )
    images = np.arange(27, dtype=np.uint8).reshape(1, 3, 3, 3)
    np.testing.assert_array_equal(IntegerModel(program)(images), [np.arange(27)])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, *SIZE), dtype=np.float32), "the images are float32; expected uint8"),
        (np.zeros((1, *SIZE), dtype=np.int8), "the images are int8; expected uint8"),
        (np.zeros((1, *SIZE), dtype=np.int64), "the images are int64; expected uint8"),
        ([], "the images are float64"),
        (None, "the images are object"),
        ("image.jpeg", "expected uint8"),
        (np.zeros(SIZE, dtype=np.uint8), r"a single image; give images\[None\]"),
        (np.zeros((3, 4, 6), dtype=np.uint8), r"a single image; give images\[None\]"),
        (np.zeros((2, 5, 6, 3), dtype=np.uint8), r"\(2, 5, 6, 3\); expected .*\(images, 4, 6, 3\)"),
        (np.zeros((2, 4, 6, 1), dtype=np.uint8), r"\(images, 4, 6, 3\)"),
        (np.zeros((4, 6), dtype=np.uint8), r"\(images, 4, 6, 3\)"),
        (np.uint8(3), r"\(images, 4, 6, 3\)"),
        ([[1, 2], [3]], "the images are no array"),
        (Unconvertible(), "the images are no array .can't convert a cuda tensor"),
    ],
)
def test_other_images_are_refused(images: Any, message: str, small_model: IntegerModel) -> None:
    with pytest.raises(FullintError, match=message) as caught:
        small_model(images)
    assert "\n" not in str(caught.value)


def test_threads(small_model: IntegerModel, pixels: np.ndarray) -> None:
    expected = small_model(pixels)
    with ThreadPoolExecutor(4) as threads:
        for logits in threads.map(lambda _: small_model(pixels), range(20)):
            np.testing.assert_array_equal(logits, expected)


def test_what_a_model_says_of_itself(small_model: IntegerModel) -> None:
    assert small_model.classes == 5
    assert small_model.input_size == SIZE
    assert small_model.preprocessing is not None
    assert small_model.preprocessing["crop_mode"] == "center"
    # 126 + 28 + 4 + 14 + 1 + 256 + 4 + 14 + 28 + 7 + 18 + 10
    assert small_model.size_bytes == 510
    assert repr(small_model) == (
        "IntegerModel(small_patch4, recipe fq-vit: uint8 4 × 6 × 3 to 5 int32 logits, "
        "7 operations, 510 bytes)"
    )
    assert IntegerModel(small_model.program).preprocessing is None
    assert "unnamed: uint8" in repr(IntegerModel(small_model.program))


def test_save_and_load(small_model: IntegerModel, pixels: np.ndarray, tmp_path: Path) -> None:
    small_model.save(tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model")(pixels), small_model(pixels))
    with pytest.raises(FullintError, match="exists already"):
        small_model.save(tmp_path / "model")
    IntegerModel(small_model.program).save(str(tmp_path / "model"), overwrite=True)
    assert load_model(str(tmp_path / "model")).metadata == ModelMetadata()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (ModelMetadata(class_names=["one"]), "1 entries for 5 classes"),
        (ModelMetadata(class_ids=["a", "b"]), "2 entries for 5 classes"),
        (ModelMetadata(preprocessing={"height": 224, "width": 224, "channels": 3}), "takes"),
        (ModelMetadata(preprocessing={}), "takes"),
    ],
)
def test_metadata_of_another_model_are_refused(
    metadata: ModelMetadata, message: str, small_program: IntegerProgram
) -> None:
    with pytest.raises(FullintError, match=message):
        IntegerModel(small_program, metadata)


class TestMetadata:
    def test_values_are_brought_to_what_a_file_gives_back(self) -> None:
        metadata = ModelMetadata(
            preprocessing={"mean": (np.float32(0.5), 1), "size": np.int64(3)},
            provenance=Provenance(layer_report=[{"decibels": float("inf")}]),
            class_names=["a\nb\x1b[31m", "\ud800"],
        )
        assert metadata.preprocessing == {"mean": [0.5, 1], "size": 3}
        assert metadata.provenance.layer_report == [{"decibels": None}]
        assert metadata.class_names == ["a\ufffdb\ufffd[31m", "\ufffd"]
        assert ModelMetadata.from_dict(metadata.to_dict()) == metadata

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"class_ids": ["a", "a"]}, "an identifier twice"),
            ({"class_ids": [1, 2]}, r"class_ids is a list, expected list\[str\]"),
            ({"class_names": "tench"}, "class_names is 'tench'"),
            ({"preprocessing": Path("x")}, "cannot be saved"),
            ({"preprocessing": {1: 2}}, "a key that is no text"),
            ({"provenance": Provenance(float_bytes=-1)}, "float_bytes is -1"),
            ({"provenance": Provenance(bits={"weights": 4.5})}, "bits is a dict"),  # type: ignore[dict-item]
            ({"measurements": [{"images": 3}]}, "a measurement lacks"),
            ({"preprocessing": {"x": 2**70}}, "cannot be saved"),
        ],
    )
    def test_other_values_are_refused(self, fields: dict[str, Any], message: str) -> None:
        with pytest.raises(FullintError, match=message):
            ModelMetadata(**fields)

    def test_deep_nesting_is_refused(self) -> None:
        nested: dict[str, Any] = {}
        for _ in range(500):
            nested = {"x": nested}
        with pytest.raises(FullintError, match="nested too deeply"):
            ModelMetadata(preprocessing=nested)


def test_running_needs_numpy_and_safetensors_only() -> None:
    """What is imported to load and run a model."""
    allowed = {"fullint", "numpy", "safetensors", *sys.stdlib_module_names}
    code = (
        "import sys; before = set(sys.modules); import fullint.integer.model; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in run.stdout.split() if not name.startswith("_")} <= allowed
