"""Calibration images: read as often as a recipe needs, a batch at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fullint.data import ImageFolder, ImageLoader, Preprocessing
from fullint.data.loader import SkippedImage
from fullint.data.selection import evenly_spread
from fullint.errors import FullintError

FEWEST_IMAGES = 8


class CalibrationSet:
    """Unlabelled images, as an array or a folder.

    Args:
        images: uint8 pixels (N, height, width, channels), already preprocessed; or a folder of
            image files.
        preprocessing: of the model; brings files to its input size.
        limit: use at most so many, evenly spread over the folder (whose files are sorted by class).
        batch_size: images at a time; memory grows with it, not with their number.
        strict: refuse a corrupt file instead of leaving it out.

    Attributes:
        skipped: files that could not be read in the last whole pass.

    Raises:
        FullintError: fewer than FEWEST_IMAGES, a wrong shape or type, an empty or missing folder.
    """

    def __init__(
        self,
        images: np.ndarray | str | os.PathLike[str],
        preprocessing: Preprocessing,
        *,
        limit: int | None = None,
        batch_size: int = 16,
        strict: bool = False,
    ) -> None:
        self.batch_size = batch_size
        self.preprocessing = preprocessing
        self.folder: ImageFolder | None = None
        self.loader: ImageLoader | None = None
        self.skipped: list[SkippedImage] = []
        if isinstance(images, str | os.PathLike):
            self.folder = ImageFolder.scan(images)
            self.indices = evenly_spread(len(self.folder), limit)
            paths = [self.folder.paths[index] for index in self.indices]
            self.loader = ImageLoader(paths, preprocessing, batch_size=batch_size, strict=strict)
        else:
            self.array = self._check_array(images)
            self.indices = evenly_spread(len(self.array), limit)
        self._require_enough()

    def _check_array(self, images: Any) -> np.ndarray:
        array = np.asarray(images)
        expected = (
            self.preprocessing.height,
            self.preprocessing.width,
            self.preprocessing.channels,
        )
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1:] != expected:
            raise FullintError(
                f"calibration images are {array.dtype} {array.shape}; expected uint8 pixels "
                f"(images, {', '.join(map(str, expected))}), or the path of a folder"
            )
        return array

    def _require_enough(self) -> None:
        if self.used < FEWEST_IMAGES:
            unusable = ""
            if self.skipped:
                first = self.skipped[0]
                unusable = (
                    f"; {len(self.skipped)} more cannot be used, such as {str(first.path)!r}: "
                    f"{first.reason}"
                )
            raise FullintError(
                f"{self.used} calibration images are too few to measure ranges, give at least "
                f"{FEWEST_IMAGES}, better 100{unusable}"
            )

    def __len__(self) -> int:
        return len(self.indices)

    def batches(self) -> Generator[Tensor]:
        """Float pixels (batch, height, width, channels), 0 to 255; every call starts anew."""
        if self.loader is not None:
            for pixels, _ in self.loader:
                yield torch.from_numpy(pixels).float()
            self.skipped = list(self.loader.skipped)
            self._require_enough()
            return
        for start in range(0, len(self.indices), self.batch_size):
            chosen = self.indices[start : start + self.batch_size]
            yield torch.from_numpy(self.array[chosen]).float()

    @property
    def used(self) -> int:
        """Images that count: after a pass, without those that could not be read in it."""
        return len(self) - len(self.skipped)

    def content_hash(self) -> str:
        """sha256 of the names and bytes of the images that count."""
        if self.folder is not None:
            unreadable = {image.path for image in self.skipped}
            paths = self.folder.paths
            return self.folder.content_hash(i for i in self.indices if paths[i] not in unreadable)
        digest = hashlib.sha256()
        for index in self.indices:
            digest.update(np.ascontiguousarray(self.array[index]).data)
        return digest.hexdigest()

    @property
    def folder_name(self) -> str | None:
        """Name, not path, of the folder."""
        return None if self.folder is None else Path(self.folder.root).resolve().name
