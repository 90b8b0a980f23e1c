"""A run of a saved model on one image, for commands that want real rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fullint.data import ImageFolder, ImageLoader, Preprocessing
from fullint.errors import FullintError
from fullint.integer.model import IntegerModel, load_model

if TYPE_CHECKING:
    from fullint.hardware.workload import ModelRun


def run_model(artefact: Path, data_dir: Path | None) -> ModelRun:
    """What the softmaxes and LayerNorms read; of the folder's first image, or of random pixels."""
    from fullint.hardware.workload import record

    model = load_model(artefact)
    return record(model.program, _pixels(model, data_dir))


def _pixels(model: IntegerModel, data_dir: Path | None) -> np.ndarray:
    """One image, decoded as the model wants it."""
    if data_dir is None:
        shape = (1, *model.input_size)
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    if model.preprocessing is None:
        raise FullintError(
            "the model does not say how its images are prepared; leave --data-dir out"
        )
    preprocessing = Preprocessing.from_dict(model.preprocessing)
    paths = ImageFolder.scan(data_dir).paths[:1]
    images, _ = next(iter(ImageLoader(paths, preprocessing, batch_size=1)))
    return images
