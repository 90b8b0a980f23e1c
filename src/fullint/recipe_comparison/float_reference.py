"""The float model's logits on a validation folder, computed once and kept in a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fullint.data import ImageFolder, ImageLoader, Preprocessing, resolve_class_map
from fullint.data.selection import evenly_spread
from fullint.evaluation import Evaluation, Predict
from fullint.integer.output_directory import replace_file
from fullint.recipe_comparison.job import Job, Settings


@dataclass(frozen=True)
class FloatReference:
    """logits (images, classes), class indices `labels` (images), and which images could be read."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    readable: NDArray[np.bool_]

    def evaluation(self) -> Evaluation:
        """Of the float model itself."""
        return Evaluation.of_batch(self.logits[self.readable], self.labels[self.readable])

    def write(self, path: Path, settings: Settings) -> None:
        """To a safetensors file that knows its settings."""
        tensors: dict[str, np.ndarray] = {
            "logits": self.logits,
            "labels": self.labels,
            "readable": self.readable,
        }
        replace_file(path, save(tensors, {"settings": json.dumps(settings)}))

    @classmethod
    def read(cls, path: Path, settings: Settings) -> FloatReference | None:
        """None where there is no whole file of these settings."""
        try:
            with safe_open(path, "np") as file:
                if json.loads((file.metadata() or {}).get("settings", "0")) != settings:
                    return None
                names = ("logits", "labels", "readable")
                return cls(*(file.get_tensor(name) for name in names))
        except (OSError, SafetensorError):
            return None


def validation_loader(
    job: Job, folder: str, preprocessing: Preprocessing
) -> tuple[ImageFolder, list[int], ImageLoader]:
    """The images of a validation folder, those that are used, and their pixels."""
    images = ImageFolder.scan(folder)
    chosen = evenly_spread(len(images), job.limit)
    paths = [images.paths[index] for index in chosen]
    return images, chosen, ImageLoader(paths, preprocessing, job.batch_size)


def compute_reference(
    job: Job,
    folder: str,
    preprocessing: Preprocessing,
    predict: Predict,
    class_ids: tuple[str, ...] | None,
    classes: int,
    report: Callable[[int, int], None],
) -> FloatReference:
    """Run the float model (`predict`: uint8 pixels to float logits) over a validation folder."""
    images, chosen, loader = validation_loader(job, folder, preprocessing)
    class_map = resolve_class_map(images.labels, classes, job.class_map, class_ids)
    labels = class_map.indices(images.labels)[chosen]
    logits = np.zeros((len(loader), classes), np.float32)
    readable = np.zeros(len(loader), np.bool_)
    for pixels, indices in loader:
        logits[indices] = predict(pixels)
        readable[indices] = True
        report(int(readable.sum()), len(loader))
    return FloatReference(logits, labels, readable)
