"""What `fullint bench` measures: an integer model, and the float model that peers run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fullint.cli.console import StepProgress
from fullint.cli.extra import quantize_extra
from fullint.integer.model import IntegerModel

if TYPE_CHECKING:
    from fullint.sources import ModelSource

CALIBRATION_IMAGES = 16


def quantized(
    name: str, checkpoint: Path | None, random_weights: bool, recipe: str, img_size: int | None
) -> tuple[IntegerModel, ModelSource]:
    """A timm model with ranges measured on noise, and the model it was made from."""
    options: dict[str, Any] = {} if img_size is None else {"img_size": img_size}
    with StepProgress() as progress, quantize_extra():
        import fullint
        from fullint.recipes import find_recipe

        chosen = find_recipe(recipe)
        progress("load", 0, 1)
        source = fullint.load_timm_model(name, checkpoint, pretrained=not random_weights, **options)
        progress("load", 1, 1)
        spec = source.preprocessing
        shape = (CALIBRATION_IMAGES, spec.height, spec.width, spec.channels)
        return fullint.quantize(source, noise(shape), recipe=chosen, progress=progress), source


def float_model(
    name: str, checkpoint: Path | None, random_weights: bool, model: IntegerModel
) -> ModelSource:
    """The timm model that a saved model is compared with, of its size."""
    with quantize_extra():
        from fullint.sources import load_reference, load_timm_model

        if not random_weights:
            return load_reference(name, checkpoint, model.input_size, model.classes)
        height, width, channels = model.input_size
        return load_timm_model(
            name,
            pretrained=False,
            num_classes=model.classes,
            in_chans=channels,
            img_size=height if height == width else (height, width),
        )


def weights_used(checkpoint: Path | None, random_weights: bool) -> str:
    """Where the float model's weights come from."""
    if random_weights:
        return "random weights"
    return "timm's weights" if checkpoint is None else f"weights of {checkpoint.name}"


def noise(shape: tuple[int, ...]) -> np.ndarray:
    """Images (images, height, width, channels) of the same noise each time."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
