"""A model that runs in integers: what `fullint.load` gives and `fullint.quantize` makes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fullint.errors import FullintError
from fullint.integer import artifact
from fullint.integer.checks import check_model
from fullint.integer.metadata import ModelMetadata
from fullint.integer.program import IntegerProgram
from fullint.integer.runner import Runner, make_runner


class IntegerModel:
    """An integer program with what is needed to use it. Any number of threads may call it at once.

    Attributes:
        program: the program.
        metadata: preprocessing, classes, provenance, measured accuracy.

    Args:
        release: called whenever an engine holds some of the constants in a form of its own.

    Raises:
        FullintError: the program is not one from an image to logits, or the metadata do not fit it.
    """

    def __init__(
        self,
        program: IntegerProgram,
        metadata: ModelMetadata | None = None,
        *,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._release = release
        self.program = program
        self.metadata = metadata or ModelMetadata()
        check_model(self.program, self.metadata)

    def __call__(self, images: ArrayLike) -> np.ndarray:
        """Logits, int32 (images, classes), in steps of `program.logit_scale`.

        Args:
            images: uint8 pixels as decoded, 0 to 255: anything that `np.asarray` takes, of shape
                (images, height, width, channels) or (images, channels, height, width); a shape that
                fits both is the first. There may be no images.

        Raises:
            FullintError: another type or shape.
        """
        return self._run(self._pixels(images))

    @functools.cached_property
    def _run(self) -> Runner:
        return make_runner(self.program, self._release)

    def _pixels(self, images: ArrayLike) -> np.ndarray:
        """Images as a uint8 array (images, height, width, channels)."""
        height, width, channels = self.input_size
        expected = f"expected uint8 pixels of shape (images, {height}, {width}, {channels})"
        try:
            pixels = np.asarray(images)
        except (ValueError, TypeError, RuntimeError) as error:
            raise FullintError(f"the images are no array ({error}); {expected}") from error
        if pixels.dtype != np.uint8:
            raise FullintError(
                f"the images are {pixels.dtype}; {expected}, 0 to 255, not normalised"
            )
        channels_last, channels_first = (height, width, channels), (channels, height, width)
        if pixels.shape[1:] == channels_last:
            return pixels
        if pixels.shape[1:] == channels_first:
            return pixels.transpose(0, 2, 3, 1)
        if pixels.shape in (channels_last, channels_first):
            raise FullintError(
                f"the images have the shape {pixels.shape}, a single image; give images[None]"
            )
        raise FullintError(
            f"the images have the shape {pixels.shape}; {expected}, or channels first"
        )

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image."""
        _, height, width, channels = self.program.input_shape
        return height, width, channels

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.program.output_type.shape[1]

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """For `fullint.data.preprocessing.Preprocessing.from_dict`; None if unknown."""
        return self.metadata.preprocessing

    @property
    def size_bytes(self) -> int:
        """Bytes of the constants when saved."""
        return self.program.constant_bytes

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Save as the directory `path`; see `artifact.save`."""
        artifact.save(path, self.program, self.metadata, overwrite=overwrite)

    def __repr__(self) -> str:
        name = self.metadata.provenance.model or "unnamed"
        recipe = (
            f", recipe {self.metadata.provenance.recipe}" if self.metadata.provenance.recipe else ""
        )
        size = " × ".join(map(str, self.input_size))
        return (
            f"IntegerModel({name}{recipe}: uint8 {size} to {self.classes} int32 logits, "
            f"{len(self.program.operations)} operations, {self.size_bytes:,} bytes)"
        )


def load_model(path: str | os.PathLike[str]) -> IntegerModel:
    """Load a saved model; FullintError unless it is complete, unchanged and proven to be safe."""
    contents = artifact.read(path)
    assert contents.file is not None
    return IntegerModel(contents.program, contents.metadata, release=contents.file.release)
