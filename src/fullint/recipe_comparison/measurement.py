"""Figures of a quantized model on one validation folder."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fullint.data import ImageLoader
from fullint.errors import FullintError
from fullint.evaluation import Evaluation
from fullint.recipe_comparison.float_reference import FloatReference

Figures = dict[str, int | float | str]


def measure(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.floating]],
    images: ImageLoader,
    reference: FloatReference,
    report: Callable[[int, int], None],
) -> Figures:
    """`Evaluation.row`, and the signal-to-quantization-noise ratio of the logits.

    `predict` gives real logits (images, classes). The ratio, `logit_sqnr_db`, is that of the sum of
    squares of all float logits to that of all differences, in decibels; 999 without a difference.
    """
    total: Evaluation | None = None
    signal = noise = 0.0
    for pixels, indices in images:
        logits = predict(pixels)
        expected = reference.logits[indices]
        batch = Evaluation.of_batch(logits, reference.labels[indices], expected)
        total = batch if total is None else total + batch
        signal += float(np.square(expected, dtype=np.float64).sum())
        noise += float(np.square(logits - expected, dtype=np.float64).sum())
        report(total.images, len(images))
    if total is None:
        raise FullintError("there are no images to evaluate on")
    ratio = 10 * math.log10(max(signal, 1e-30) / noise) if noise else 999.0
    return {**total.row(), "skipped": len(images.skipped), "logit_sqnr_db": round(ratio, 3)}
