"""Preprocessing equals timm's own evaluation transform, pixel for pixel."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fullint.data import ImageFolder, Preprocessing
from fullint.data.preprocessing import INTERPOLATIONS, TIMM_CROP_MODES
from fullint.errors import FullintError

DEIT = Preprocessing(
    height=224,
    width=224,
    channels=3,
    crop_pct=0.9,
    crop_mode="center",
    interpolation="bicubic",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


def pixels_from_timm(timm: Any, spec: Preprocessing, image: Image.Image) -> np.ndarray:
    """uint8 (H, W, C): timm's reader (which converts the mode) and transform, before ToTensor."""
    transform = timm.data.create_transform(
        input_size=(spec.channels, spec.height, spec.width),
        is_training=False,
        interpolation=spec.interpolation,
        mean=spec.mean,
        std=spec.std,
        crop_pct=spec.crop_pct,
        crop_mode=spec.crop_mode,
        normalize=False,
    )
    converted = image.convert("RGB" if spec.channels == 3 else "L")
    return transform(converted).permute(1, 2, 0).numpy()


SIZES = [(224, 224), (248, 249), (500, 375), (375, 500), (333, 1000), (701, 97), (17, 31), (1, 1)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("crop_mode", TIMM_CROP_MODES)
@pytest.mark.parametrize("crop_pct", [0.875, 0.9, 1.0, 1.15])
def test_equals_timm_on_sizes(
    timm: Any, random_image: Any, size: tuple[int, int], crop_mode: str, crop_pct: float
) -> None:
    spec = replace(DEIT, crop_mode=crop_mode, crop_pct=crop_pct)
    image = random_image(1, *size)
    np.testing.assert_array_equal(spec(image), pixels_from_timm(timm, spec, image))


@settings(max_examples=150)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    height=st.integers(1, 48),
    square=st.booleans(),
    width=st.integers(1, 48),
    crop_pct=st.floats(0.3, 1.4) | st.sampled_from([0.875, 0.9, 0.95, 0.96, 1.0]),
    crop_mode=st.sampled_from(TIMM_CROP_MODES),
    interpolation=st.sampled_from(sorted(INTERPOLATIONS)),
)
def test_equals_timm_on_any_geometry(
    timm: Any,
    random_image: Any,
    size: tuple[int, int],
    height: int,
    width: int,
    square: bool,
    crop_pct: float,
    crop_mode: str,
    interpolation: str,
) -> None:
    try:
        spec = replace(
            DEIT,
            height=height,
            width=height if square else width,
            crop_pct=crop_pct,
            crop_mode=crop_mode,
            interpolation=interpolation,
        )
    except FullintError:  # it would resize to nothing, on which timm fails too
        assert min(height, height if square else width) / crop_pct < 1
        return
    image = random_image(2, *size)
    try:
        expected = pixels_from_timm(timm, spec, image)
    except ValueError:  # Pillow: a side of the resized image rounds to 0
        with pytest.raises(FullintError, match="too long and thin"):
            spec(image)
    else:
        np.testing.assert_array_equal(spec(image), expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F"])
@pytest.mark.parametrize("channels", [3, 1])
def test_equals_timm_on_image_modes(timm: Any, random_image: Any, mode: str, channels: int) -> None:
    image = random_image(3, 301, 260, mode)
    assert image.mode == mode
    spec = replace(DEIT, channels=channels, mean=DEIT.mean[:channels], std=DEIT.std[:channels])
    result = spec(image)
    assert result.shape == (224, 224, channels)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, pixels_from_timm(timm, spec, image))


@pytest.mark.parametrize(("height", "width"), [(227, 300), (224, 229), (600, 256)])
def test_a_plain_crop_is_the_middle_of_the_image(
    random_image: Any, height: int, width: int
) -> None:
    image = random_image(5, width, height)
    top, left = (height - 224) // 2, (width - 224) // 2
    expected = np.asarray(image)[top : top + 224, left : left + 224]
    for crop_pct in (0.5, 1.0):
        spec = replace(DEIT, crop_mode="plain", crop_pct=crop_pct)
        np.testing.assert_array_equal(spec(image), expected)


def test_a_plain_crop_of_a_small_image_pads_it(random_image: Any) -> None:
    image = random_image(6, 11, 7)
    spec = replace(DEIT, height=8, width=8, crop_mode="plain")
    np.testing.assert_array_equal(spec(image)[:7], np.asarray(image)[:, 1:9])
    assert not spec(image)[7].any()


@pytest.mark.real_data
def test_equals_timm_on_real_images(timm: Any, real_data: Path) -> None:
    for name, step in (("val-1300", 130), ("cc-calibration", 16)):
        for path in ImageFolder.scan(real_data / "images" / name).paths[::step]:
            with Image.open(path) as image:
                np.testing.assert_array_equal(DEIT(image), pixels_from_timm(timm, DEIT, image))


@pytest.mark.parametrize(
    "name",
    [
        "deit_tiny_patch16_224",
        "vit_base_patch16_384",
        "swin_tiny_patch4_window7_224",
        "vit_large_patch14_clip_336.openai",
        "vit_so400m_patch14_siglip_384",
        "regnety_1280.swag_lc_in1k",
    ],
)
def test_from_timm_takes_the_model_s_own_configuration(
    timm: Any, random_image: Any, name: str
) -> None:
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    spec = Preprocessing.from_timm(config)
    assert (spec.channels, spec.height, spec.width) == tuple(config["input_size"])
    image = random_image(4, 451, 390)
    transform = timm.data.create_transform(**config, normalize=False)
    np.testing.assert_array_equal(spec(image), transform(image).permute(1, 2, 0).numpy())


def test_from_timm_names_what_is_missing() -> None:
    with pytest.raises(FullintError, match="no input_size, crop_pct, crop_mode; give"):
        Preprocessing.from_timm({"mean": (0.5,), "std": (0.5,), "interpolation": "bicubic"})


def test_survives_json() -> None:
    spec = replace(DEIT, crop_pct=1 / 3, mean=(0.1, 0.2, 0.1 + 0.2))
    assert Preprocessing.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_integers_stand_for_floats() -> None:
    spec = Preprocessing.from_dict(DEIT.to_dict() | {"crop_pct": 1, "mean": [0, 0, 0]})
    assert spec.crop_pct == 1.0
    assert isinstance(spec.crop_pct, float)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("height", 0),
        ("height", 224.0),
        ("height", True),
        ("width", 10**9),
        ("width", None),
        ("channels", 2),
        ("crop_pct", 0),
        ("crop_pct", -1.0),
        ("crop_pct", float("nan")),
        ("crop_pct", float("inf")),
        ("crop_pct", 1e-300),
        ("crop_pct", 300),
        ("crop_pct", 10**400),
        ("crop_pct", "0.9"),
        ("crop_mode", "middle"),
        ("crop_mode", ["center"]),
        ("interpolation", "random"),
        ("interpolation", {}),
        ("mean", [0.5, 0.5]),
        ("mean", 0.5),
        ("mean", "abc"),
        ("mean", [0.5, 0.5, 10**400]),
        ("std", [0.5, 0.0, 0.5]),
        ("std", [0.5, float("nan"), 0.5]),
    ],
)
def test_refuses_bad_fields(field: str, value: object) -> None:
    with pytest.raises(FullintError, match=f"preprocessing field '{field}'"):
        Preprocessing.from_dict(DEIT.to_dict() | {field: value})


def test_refuses_missing_and_unknown_fields() -> None:
    values = DEIT.to_dict()
    with pytest.raises(FullintError, match="unknown field 'crop'"):
        Preprocessing.from_dict(values | {"crop": 0.9})
    del values["std"]
    with pytest.raises(FullintError, match="lacks the field 'std'"):
        Preprocessing.from_dict(values)
    with pytest.raises(FullintError, match="not list"):
        Preprocessing.from_dict([])  # type: ignore[arg-type]


def test_refuses_a_strip_that_would_fill_the_memory() -> None:
    with pytest.raises(FullintError, match="1 x 100000 pixels is too long and thin"):
        replace(DEIT, height=512, width=512)(Image.new("RGB", (1, 100_000)))
