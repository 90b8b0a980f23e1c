"""Accuracy on real weights and real images, of the integer program, at the bar the project set.

Agreement is with the float model on the same pixels, on 1300 validation images; the bars of
`fq-vit` are what its authors' simulation reaches with these weights. Run with -rP to read the
figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fullint
from fullint.data import ImageFolder, ImageLoader, Preprocessing, resolve_class_map
from fullint.evaluation import Batch, Evaluation, evaluate
from fullint.sources import ModelSource

pytestmark = [pytest.mark.slow, pytest.mark.real_data]
BATCH = 50


@pytest.fixture(scope="module")
def source(real_data: Path) -> ModelSource:
    """DeiT-tiny with its trained weights."""
    weights = real_data / "weights" / "deit_tiny_patch16_224.safetensors"
    return fullint.load_timm_model("deit_tiny_patch16_224", weights)


def plain_crops(folder: ImageFolder) -> np.ndarray:
    """The middle 224 x 224 pixels of each image, not resized, as the bars were set."""
    crops = []
    for path in folder.paths:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        top, left = (pixels.shape[0] - 224) // 2, (pixels.shape[1] - 224) // 2
        crops.append(pixels[top : top + 224, left : left + 224])
    return np.stack(crops)


def batches(pixels: np.ndarray) -> Iterator[Batch]:
    """The images with their indices."""
    for start in range(0, len(pixels), BATCH):
        batch = pixels[start : start + BATCH]
        yield batch, np.arange(start, start + len(batch))


def check(result: Evaluation, least_agreement: float, largest_loss: float) -> None:
    """Print the figures and hold them against the bar."""
    print(result)
    assert result.images == 1300
    assert result.comparison is not None
    assert result.rate(result.comparison.agreeing).percent >= least_agreement
    difference = result.top1_difference()
    assert difference is not None
    assert abs(difference.percent) <= largest_loss


def labels_of(folder: ImageFolder, source: ModelSource) -> np.ndarray:
    """Class index of every image, from its WordNet id."""
    return resolve_class_map(folder.labels, 1000, class_ids=source.class_ids).indices(folder.labels)


@pytest.mark.parametrize(
    ("recipe", "least_agreement", "largest_loss"),
    [
        ("default", 98.0, 0.4),
        ("fq-vit-888", 95.7, 0.7),
        ("fq-vit", 95.5, 0.7),
        ("sole", 93.5, 1.5),
        ("i-vit", 93.5, 2.0),
    ],
)
def test_plain_crops(
    real_data: Path, source: ModelSource, recipe: str, least_agreement: float, largest_loss: float
) -> None:
    calibration = plain_crops(ImageFolder.scan(real_data / "images" / "cc-calibration"))
    folder = ImageFolder.scan(real_data / "images" / "val-1300")
    model = fullint.quantize(source, calibration, recipe=recipe)
    images = batches(plain_crops(folder))
    result = evaluate(model, images, labels_of(folder, source), source.logits)
    assert result.comparison is not None
    assert result.comparison.top1 / 1300 == pytest.approx(0.8062, abs=5e-5)
    check(result, least_agreement, largest_loss)


def test_the_models_own_preprocessing(real_data: Path, source: ModelSource) -> None:
    model = fullint.quantize(source, real_data / "images" / "cc-calibration")
    assert model.preprocessing is not None
    folder = ImageFolder.scan(real_data / "images" / "val-1300")
    images = ImageLoader(folder.paths, Preprocessing.from_dict(model.preprocessing))
    check(evaluate(model, images, labels_of(folder, source), source.logits), 98.0, 0.4)
