"""Folders of images: which files, in which order, under which label."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fullint.errors import FullintError

EXTENSIONS = ("jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff", "gif", "ppm")
_SUFFIXES = tuple(f".{extension}" for extension in EXTENSIONS)
_EXPECTED = "expected a folder of images, or of one sub-folder of images a class"
_HASH_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class ImageFolder:
    """The images under a folder, at any depth, in an order that every machine reproduces.

    ``relative_names``: path of each image relative to ``root``, with forward slashes, sorted.
    ``labels``: for each image, the name of the sub-folder of ``root`` that it is in, or None for an
    image directly in ``root`` (calibration needs no labels).
    """

    root: Path
    relative_names: tuple[str, ...]
    labels: tuple[str | None, ...]

    @classmethod
    def scan(cls, root: str | os.PathLike[str]) -> ImageFolder:
        """List the images under `root`; hidden files are left out, symbolic links are followed.

        Raises FullintError where `root` is missing, no folder, unreadable, or holds no image.
        """
        root = Path(root)
        if not root.exists():
            raise FullintError(f"image folder {str(root)!r} does not exist; {_EXPECTED}")
        if not root.is_dir():
            raise FullintError(f"{str(root)!r} is not a folder; {_EXPECTED}")
        try:
            names = sorted(_walk(root, "", frozenset()))
        except OSError as error:
            raise FullintError(
                f"image folder {str(root)!r} cannot be listed: {error.strerror} ({error.filename})"
            ) from error
        if not names:
            raise FullintError(
                f"image folder {str(root)!r} holds no images ({', '.join(EXTENSIONS)}); {_EXPECTED}"
            )
        labels = tuple(name.split("/", 1)[0] if "/" in name else None for name in names)
        return cls(root, tuple(names), labels)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.relative_names)

    @functools.cached_property
    def paths(self) -> tuple[Path, ...]:
        """Where to open each image."""
        return tuple(self.root / name for name in self.relative_names)

    def content_hash(self, indices: Iterable[int] | None = None) -> str:
        """SHA-256 (hexadecimal) of the relative names and bytes of these images (default: all).

        It does not depend on where the folder is, and depends on the order of `indices`, as
        calibration with a moving average does. Files are read in pieces.
        """
        total = hashlib.sha256()
        for index in range(len(self)) if indices is None else indices:
            name = self.relative_names[index]
            # A digest a file, of fixed length: no two different sets concatenate to the same bytes.
            total.update(hashlib.sha256(os.fsencode(name)).digest())
            total.update(_file_digest(self.root / name))
        return total.hexdigest()


def _walk(root: Path, prefix: str, ancestors: frozenset[tuple[int, int]]) -> Iterator[str]:
    """Relative names of the images under root/prefix; links to an ancestor are not followed."""
    directory = root / prefix
    status = directory.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in ancestors:
        return
    with os.scandir(directory) as entries:
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(root, name + "/", ancestors | {identity})
            elif name.lower().endswith(_SUFFIXES) and (entry.is_file() or entry.is_symlink()):
                yield name  # not pipes, whose opening would block; broken links are named later


def _file_digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_HASH_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise FullintError(f"image {str(path)!r} cannot be read: {error.strerror}") from error
    return digest.digest()
