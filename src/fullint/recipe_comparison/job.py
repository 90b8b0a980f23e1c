"""What one comparison is about, and all that decides its figures."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from fullint.data import ImageFolder
from fullint.data.selection import evenly_spread
from fullint.errors import FullintError
from fullint.recipes import Recipe
from fullint.version import __version__

Settings = dict[str, Any]
_PACKAGES = ("numpy", "pillow", "timm", "torch")


@dataclass(frozen=True)
class Job:
    """The model and the images that all cells share.

    Attributes:
        model, checkpoint, model_options, crop_pct, crop_mode: for `fullint.load_timm_model`.
        calibration: folder of unlabelled images, of which `calibration_images` are used.
        validation: folders of labelled images, of which `limit` each are used (None: all).
        class_map: file with the class of each folder, as for `fullint evaluate`.
        batch_size: images at a time, in calibration and in evaluation.

    Raises:
        FullintError: two validation folders have the same name.
    """

    model: str
    checkpoint: str | None
    calibration: str
    validation: tuple[str, ...]
    calibration_images: int = 128
    limit: int | None = None
    batch_size: int = 16
    class_map: str | None = None
    crop_pct: float | None = None
    crop_mode: str | None = None
    model_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.validation_names
        if repeated := [name for name in names if names.count(name) > 1]:
            raise FullintError(
                f"two validation folders are called {repeated[0]!r}; results go by the folder's "
                "name, so rename one"
            )

    @property
    def validation_names(self) -> list[str]:
        """Names of the validation folders, in order."""
        return [Path(folder).resolve().name for folder in self.validation]

    def to_dict(self) -> dict[str, Any]:
        """Values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Job:
        """The inverse of `to_dict`."""
        return cls(**(values | {"validation": tuple(values["validation"])}))

    @cached_property
    def model_settings(self) -> Settings:
        """Everything that decides what the float model is. Weights that timm fetches go by their
        name; a checkpoint and a local folder by what they hold.
        """
        weights = self.checkpoint
        if weights is None and self.model.startswith("local-dir:"):
            weights = self.model.removeprefix("local-dir:")
        return {
            "name": self.model,
            "weights_sha256": None if weights is None else _weights_hash(Path(weights)),
            "options": self.model_options,
            "crop_pct": self.crop_pct,
            "crop_mode": self.crop_mode,
        }

    @cached_property
    def calibration_settings(self) -> Settings:
        """Everything that decides what is calibrated on."""
        images = _images_settings(self.calibration, self.calibration_images)
        return images | {"batch_size": self.batch_size}

    @cached_property
    def validation_settings(self) -> dict[str, Settings]:
        """By the folder's name, everything that decides what is evaluated on."""
        class_map = None if self.class_map is None else _file_hash(Path(self.class_map))
        return {
            name: _images_settings(folder, self.limit) | {"class_map_sha256": class_map}
            for name, folder in zip(self.validation_names, self.validation, strict=True)
        }

    def float_settings(self, name: str) -> Settings:
        """Everything that decides the float model's logits on the validation folder `name`."""
        return {
            "model": self.model_settings,
            "validation": self.validation_settings[name],
            "versions": versions(),
        }

    def cell_settings(self, recipe: Recipe) -> Settings:
        """Everything that decides the figures of a recipe."""
        return {
            "recipe": recipe.model_dump(mode="json", exclude={"summary", "paper", "notes"}),
            "model": self.model_settings,
            "calibration": self.calibration_settings,
            "validation": self.validation_settings,
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Of this package, and of those that its results depend on."""
    return {"fullint": __version__} | {name: metadata.version(name) for name in _PACKAGES}


def _images_settings(folder: str, limit: int | None) -> Settings:
    images = ImageFolder.scan(folder)
    chosen = evenly_spread(len(images), limit)
    return {"images": len(chosen), "sha256": images.content_hash(chosen)}


def _weights_hash(path: Path) -> str:
    if path.is_file():
        return _file_hash(path)
    if not path.is_dir():
        raise FullintError(f"'{path}' holds no weights: there is no such file or folder")
    digests = {str(file.relative_to(path)): _file_hash(file) for file in path.rglob("*.*")}
    return hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FullintError(f"{str(path)!r} cannot be read: {error.strerror}") from error
