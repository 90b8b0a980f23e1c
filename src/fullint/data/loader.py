"""Image files, decoded by a pool of threads into uint8 batches, in order and in bounded memory."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from fullint.data.preprocessing import Preprocessing
from fullint.errors import FullintError

# Only these formats are tried, whatever a file is called: Pillow has readers that start an
# interpreter (PostScript). Importing them here, not when the first file of a format is met, also
# keeps Pillow's registration of readers, which is not thread safe, out of the decoding threads.
_READERS = (
    BmpImageFile, GifImageFile, JpegImageFile, PngImageFile, PpmImageFile, TiffImageFile,
    WebPImageFile,
)  # fmt: skip
_FORMATS = tuple(reader.format for reader in _READERS if reader.format in Image.OPEN)


@dataclass(frozen=True)
class SkippedImage:
    """An image that could not be used, and why, in words for the user."""

    path: Path
    reason: str


class ImageLoader:
    """Iterates over ``(pixels, indices)``: uint8 (B, H, W, C), and int64 (B) into `paths`.

    Batches come in the order of `paths` and are full except the last. At most one batch and
    `workers` images are decoded ahead of the consumer. An image that cannot be decoded is left out
    and recorded in ``skipped`` (which each iteration starts anew); with `strict` it raises
    FullintError, as it does where not one image is left.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        preprocessing: Preprocessing,
        batch_size: int = 32,
        workers: int | None = None,
        strict: bool = False,
    ) -> None:
        if not paths:
            raise FullintError("there are no images to load")
        if batch_size < 1:
            raise FullintError(f"the batch size is {batch_size}, but must be at least 1")
        if workers is not None and workers < 1:
            raise FullintError(f"the number of workers is {workers}, but must be at least 1")
        self.paths = tuple(paths)
        self.preprocessing = preprocessing
        self.batch_size = batch_size
        self.workers = workers or min(4, _available_cores())
        self.strict = strict
        self.skipped: list[SkippedImage] = []

    def __len__(self) -> int:
        """Number of images, skipped ones included."""
        return len(self.paths)

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        self.skipped = []
        batch: list[NDArray[np.uint8]] = []
        indices: list[int] = []
        for index, image in enumerate(self._decoded()):
            if isinstance(image, SkippedImage):
                self._skip(image)
                continue
            batch.append(image)
            indices.append(index)
            if len(batch) == self.batch_size:
                yield np.stack(batch), np.array(indices, np.int64)
                batch, indices = [], []
        if batch:
            yield np.stack(batch), np.array(indices, np.int64)

    def _skip(self, image: SkippedImage) -> None:
        self.skipped.append(image)
        if self.strict:
            raise FullintError(
                f"image {str(image.path)!r} cannot be used: {image.reason}; "
                "repair or remove it, or run without --strict to leave it out"
            )
        if len(self.skipped) == len(self.paths):
            first = self.skipped[0]
            raise FullintError(
                f"none of the {len(self.paths)} images can be used; "
                f"the first, {str(first.path)!r}: {first.reason}"
            )

    def _decoded(self) -> Iterator[NDArray[np.uint8] | SkippedImage]:
        """One result a path, in order."""
        pending: deque[tuple[Path, Future[NDArray[np.uint8]]]] = deque()
        executor = ThreadPoolExecutor(self.workers, thread_name_prefix="fullint-decode")
        try:
            for path in self.paths:
                pending.append((path, executor.submit(self._decode, path)))
                if len(pending) >= self.batch_size + self.workers:
                    yield self._result(*pending.popleft())
            while pending:
                yield self._result(*pending.popleft())
        finally:  # also on an interrupt, or when the consumer stops early
            executor.shutdown(wait=True, cancel_futures=True)

    def _result(
        self, path: Path, future: Future[NDArray[np.uint8]]
    ) -> NDArray[np.uint8] | SkippedImage:
        try:
            try:
                return future.result()
            except Warning:
                # Where the caller turns warnings into errors, Pillow's (an unusually large image,
                # a palette with transparency, odd TIFF tags) must not cost an image. The filters
                # are the whole process's, so they are set here and not in a worker thread.
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    return self._decode(path)
        except Exception as error:  # a damaged file makes Pillow raise nearly anything
            return SkippedImage(path, _reason(error))

    def _decode(self, path: Path) -> NDArray[np.uint8]:
        with Image.open(path, formats=_FORMATS) as image:
            return self.preprocessing(image)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is damaged, or in none of the formats " + ", ".join(_FORMATS)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # what a container or taskset leaves, where it is known
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
