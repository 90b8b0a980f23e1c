"""From a decoded image to the uint8 pixels that a model was trained to see.

The arithmetic is that of timm's evaluation transform, ``timm.data.create_transform`` with
``is_training=False``, bit for bit, without torch: the same Pillow resampling, and the same rounding
of the resized size and of the crop's corner. Accuracy measured on other pixels is not comparable.
The crop mode ``plain`` is not timm's; it is for images that were brought to size beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fullint.errors import FullintError

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
TIMM_CROP_MODES = ("center", "squash", "border")
CROP_MODES = (*TIMM_CROP_MODES, "plain")
_TIMM_FIELDS = ("interpolation", "mean", "std", "crop_pct", "crop_mode")

# Bounds on what a (possibly hostile) file may ask for: a side of the input, and the pixels of the
# resized image. A centre crop scales the short side, so that of a strip of 1 x 100000 pixels would
# otherwise take gigabytes.
MAXIMUM_SIDE = 1 << 14
MAXIMUM_RESIZED_PIXELS = 1 << 27


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes a model's input.

    ``height``, ``width``: pixels of the result. ``channels``: 3 (RGB) or 1 (grayscale).
    ``crop_pct``: the crop's side divided by the resized image's. ``crop_mode``: ``center`` scales
    the short side and crops, ``squash`` scales each side on its own and crops, ``border`` scales
    the long side and pads with the mean colour, ``plain`` crops without resizing, the corner
    rounded down, and leaves ``crop_pct`` unused. ``interpolation``: of `INTERPOLATIONS`.
    ``mean``, ``std``: one value a channel, of pixels divided by 255; the integer program folds them
    into its first layer, so here only ``border`` uses the mean.

    Raises FullintError for a field of the wrong type or out of range.
    """

    height: int
    width: int
    channels: int
    crop_pct: float
    crop_mode: str
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        side = f"an integer from 1 to {MAXIMUM_SIDE}"
        for name in ("height", "width"):
            size = getattr(self, name)
            _require(_is_integer(size) and 1 <= size <= MAXIMUM_SIDE, name, size, side)
        channels, crop_pct = self.channels, self.crop_pct
        _require(_is_integer(channels) and channels in (1, 3), "channels", channels, "1 or 3")
        _require(_is_number(crop_pct) and crop_pct > 0, "crop_pct", crop_pct, "a positive number")
        resized = f"one that resizes to 1 to {MAXIMUM_SIDE} pixels a side"
        for size in (self.height, self.width):
            _require(1 <= size / crop_pct <= MAXIMUM_SIDE, "crop_pct", crop_pct, resized)
        _require_choice("crop_mode", self.crop_mode, CROP_MODES)
        _require_choice("interpolation", self.interpolation, tuple(INTERPOLATIONS))
        for name in ("mean", "std"):
            values = getattr(self, name)
            well_formed = isinstance(values, tuple) and len(values) == channels
            per_channel = f"{channels} finite numbers, one a channel"
            _require(well_formed and all(map(_is_number, values)), name, values, per_channel)
        _require(min(self.std) > 0, "std", self.std, "positive numbers")

    @classmethod
    def from_timm(cls, data_config: Mapping[str, Any]) -> Preprocessing:
        """From what ``timm.data.resolve_model_data_config(model)`` returns."""
        if missing := [name for name in ("input_size", *_TIMM_FIELDS) if name not in data_config]:
            raise FullintError(
                f"the data configuration has no {', '.join(missing)}; "
                "give the result of timm.data.resolve_model_data_config(model)"
            )
        size = data_config["input_size"]
        is_triple = isinstance(size, (tuple, list)) and len(size) == 3
        _require(is_triple, "input_size", size, "(channels, height, width)")
        values = {name: data_config[name] for name in _TIMM_FIELDS}
        return cls.from_dict(values | dict(zip(("channels", "height", "width"), size, strict=True)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_dict`.

        Raises FullintError for a field that is missing, unknown, of the wrong type or out of range.
        """
        if not isinstance(values, Mapping):
            raise FullintError(
                f"preprocessing must be a mapping of fields, not {type(values).__name__}"
            )
        names = {field.name for field in fields(cls)}
        if missing := sorted(names - set(values)):
            raise FullintError(f"preprocessing lacks the field {missing[0]!r}")
        if unknown := sorted(map(str, set(values) - names)):
            raise FullintError(
                f"preprocessing has the unknown field {unknown[0]!r}; "
                f"known: {', '.join(sorted(names))}"
            )
        arguments: dict[str, Any] = {
            name: tuple(map(_as_float, value)) if isinstance(value, (list, tuple)) else value
            for name, value in values.items()
        }
        arguments["crop_pct"] = _as_float(arguments["crop_pct"])
        return cls(**arguments)

    def to_dict(self) -> dict[str, Any]:
        """The fields as values that JSON can hold; floats survive the round trip exactly."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        """uint8 array (height, width, channels) of `image`, of any Pillow mode and size.

        FullintError where the image is so long and thin that resizing it is impossible.
        """
        # As timm's reader does first: transparency is dropped, EXIF orientation ignored.
        image = image.convert("RGB" if self.channels == 3 else "L")
        height, width = self._resized_size(image.height, image.width)
        if min(height, width) < 1 or height * width > MAXIMUM_RESIZED_PIXELS:
            raise FullintError(
                f"an image of {image.width} x {image.height} pixels is too long and thin "
                f"to be resized for an input of {self.width} x {self.height}"
            )
        if (width, height) != image.size:
            image = image.resize((width, height), INTERPOLATIONS[self.interpolation])
        pixels = np.asarray(image, dtype=np.uint8).reshape(height, width, self.channels)
        return self._center_crop_or_pad(pixels)

    def _resized_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) to which an image of that size is resized before the crop."""
        scaled_height, scaled_width = (
            math.floor(size / self.crop_pct) for size in (self.height, self.width)
        )
        if self.crop_mode == "plain":
            return height, width
        if self.crop_mode == "squash":
            return scaled_height, scaled_width
        if self.crop_mode == "center" and scaled_height == scaled_width:
            # torchvision's Resize of the shorter edge truncates the longer one.
            long_edge = int(scaled_height * max(height, width) / min(height, width))
            return (long_edge, scaled_width) if width <= height else (scaled_height, long_edge)
        # timm's ResizeKeepRatio rounds, half to even.
        ratios = height / scaled_height, width / scaled_width
        ratio = max(ratios) if self.crop_mode == "border" else min(ratios)
        return round(height / ratio), round(width / ratio)

    def _center_crop_or_pad(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width, channels = pixels.shape
        rounded_down = self.crop_mode == "plain"
        rows, crop_top, pad_top = _overlap(height, self.height, rounded_down)
        columns, crop_left, pad_left = _overlap(width, self.width, rounded_down)
        result = np.empty((self.height, self.width, channels), np.uint8)
        result[:] = self._padding_color()
        result[pad_top : pad_top + rows, pad_left : pad_left + columns] = pixels[
            crop_top : crop_top + rows, crop_left : crop_left + columns
        ]
        return result

    def _padding_color(self) -> NDArray[np.uint8]:
        if self.crop_mode != "border":
            return np.zeros(self.channels, np.uint8)
        return np.array([min(255, max(0, round(255 * value))) for value in self.mean], np.uint8)


def _overlap(size: int, target: int, rounded_down: bool) -> tuple[int, int, int]:
    """(length kept, where it starts in the image, where it lands in the result) along one axis."""
    if size < target:  # the odd pixel of padding goes to the right or the bottom
        return size, 0, (target - size) // 2
    start = (size - target) // 2 if rounded_down else round((size - target) / 2)  # half to even
    return target, start, 0


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    # The comparison is exact for integers of any size, and false for NaN and infinities.
    return isinstance(value, (int, float)) and type(value) is not bool and abs(value) < 1e300


def _as_float(value: object) -> object:
    """An integer where a float is meant becomes one; the rest is left for validation."""
    return float(value) if isinstance(value, int) and _is_number(value) else value


def _require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    _require(value in choices, name, value, f"one of {', '.join(choices)}")


def _require(condition: bool, name: str, value: object, expected: str) -> None:
    if not condition:
        raise FullintError(f"preprocessing field {name!r} is {value!r}, expected {expected}")
