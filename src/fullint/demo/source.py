"""The demo's model and images in the form that quantization takes."""

from __future__ import annotations

import hashlib

from fullint.calibration import CalibrationSet
from fullint.data import Preprocessing
from fullint.demo.digits import (
    CHECKPOINT,
    CLASS_COUNT,
    DIGITS_PREPROCESSING,
    DigitImages,
    build_digits_model,
)
from fullint.sources import ModelSource

CALIBRATION_IMAGES = 256


def digits_source() -> ModelSource:
    """The trained model, its classes named by their digits."""
    digits = tuple(str(digit) for digit in range(CLASS_COUNT))
    return ModelSource(
        "digits_vit",
        build_digits_model(),
        Preprocessing.from_timm(DIGITS_PREPROCESSING),
        CHECKPOINT,
        class_ids=digits,
        class_names=digits,
        checkpoint_sha256=hashlib.sha256(CHECKPOINT.read_bytes()).hexdigest(),
    )


def digits_calibration(digits: DigitImages, source: ModelSource) -> CalibrationSet:
    """Images that the model was trained on; those held out are for measuring."""
    trained_on = digits.images[~digits.held_out]
    return CalibrationSet(trained_on, source.preprocessing, limit=CALIBRATION_IMAGES)
