"""What `fullint demo` runs on: handwritten digits and a small vision transformer."""

from __future__ import annotations

from fullint.demo.digits import (
    DIGITS_PREPROCESSING,
    DigitImages,
    build_digits_model,
    load_digit_images,
)

__all__ = ["DIGITS_PREPROCESSING", "DigitImages", "build_digits_model", "load_digit_images"]
