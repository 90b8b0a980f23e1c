"""Accuracy on real weights and real images, of the integer program, at the bar the project set.

Agreement is with the float model on the same pixels, on 1300 validation images; the bars of
`fq-vit` are what its authors' simulation reaches with these weights.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import fullint
from fullint.data import ImageFolder, ImageLoader, Preprocessing, resolve_class_map
from fullint.evaluation import Evaluation, evaluate

pytestmark = [pytest.mark.slow, pytest.mark.real_data]


def measure(real_data: Path, recipe: str) -> Evaluation:
    """DeiT-tiny, calibrated on 128 images, on `val-1300`."""
    source = fullint.load_timm_model(
        "deit_tiny_patch16_224", real_data / "weights" / "deit_tiny_patch16_224.safetensors"
    )
    model = fullint.quantize(source, real_data / "images" / "cc-calibration", recipe=recipe)
    assert model.preprocessing is not None
    folder = ImageFolder.scan(real_data / "images" / "val-1300")
    labels = resolve_class_map(
        folder.labels, model.classes, class_ids=model.metadata.class_ids
    ).indices(folder.labels)
    images = ImageLoader(folder.paths, Preprocessing.from_dict(model.preprocessing))
    return evaluate(model, images, labels, source.logits)


@pytest.mark.parametrize(
    ("recipe", "least_agreement", "largest_loss"),
    [("default", 98.0, 0.4), ("fq-vit-888", 95.7, 0.7), ("fq-vit", 95.5, 0.7)],
)
def test_the_integer_program_keeps_the_float_models_accuracy(
    real_data: Path, recipe: str, least_agreement: float, largest_loss: float
) -> None:
    result = measure(real_data, recipe)
    assert result.images == 1300
    assert result.comparison is not None
    assert result.rate(result.comparison.agreeing).percent >= least_agreement
    difference = result.top1_difference()
    assert difference is not None
    assert abs(difference.percent) <= largest_loss
