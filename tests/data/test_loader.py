"""Decoding in order, in bounded memory, past damaged files."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fullint.data import ImageFolder, ImageLoader, Preprocessing
from fullint.errors import FullintError

SPEC = Preprocessing(16, 12, 3, 0.9, "center", "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def paths(image_folder: Path) -> tuple[Path, ...]:
    return ImageFolder.scan(image_folder).paths


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
@pytest.mark.parametrize("workers", [1, 3, None])
def test_batches_are_in_order_and_full(
    paths: tuple[Path, ...], batch_size: int, workers: int | None
) -> None:
    loader = ImageLoader(paths, SPEC, batch_size, workers)
    for _ in range(2):  # a loader can be iterated again
        batches = list(loader)
        assert all(len(pixels) == batch_size for pixels, _ in batches[:-1])
        assert all(len(pixels) == len(indices) for pixels, indices in batches)
        assert np.concatenate([indices for _, indices in batches]).tolist() == list(range(7))
        pixels = np.concatenate([pixels for pixels, _ in batches])
        assert pixels.dtype == np.uint8
        assert pixels.shape == (7, 16, 12, 3)
        for path, image in zip(paths, pixels, strict=True):
            with Image.open(path) as source:
                np.testing.assert_array_equal(image, SPEC(source))
        assert loader.skipped == []


def damage(folder: Path) -> dict[str, str]:
    """Add unreadable files to class d; return the name and the expected reason of each."""
    bad = folder / "d"
    bad.mkdir()
    (bad / "cut.jpg").write_bytes((folder / "b" / "10.jpg").read_bytes()[:-50])
    (bad / "empty.png").write_bytes(b"")
    (bad / "text.png").write_text("<html>404 Not Found</html>")
    (bad / "broken-link.png").symlink_to("nowhere.png")
    (bad / "directory-of-tiff.tif").write_bytes(b"II*\0\xff\xff\xff\xff")
    (bad / "postscript.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    Image.new("RGB", (1, 60_000)).save(bad / "strip.png")
    return {
        "broken-link.png": "No such file",
        "cut.jpg": "truncated",
        "directory-of-tiff.tif": "damaged, or in none of the formats",
        "empty.png": "damaged, or in none of the formats BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP",
        "postscript.jpg": "damaged, or in none of the formats",
        "strip.png": "too long and thin",
        "text.png": "damaged, or in none of the formats",
    }


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_damaged_images_are_named_skipped_and_counted(image_folder: Path, action: str) -> None:
    reasons = damage(image_folder)
    paths = ImageFolder.scan(image_folder).paths
    spec = Preprocessing(2400, 2400, 3, 1.0, "center", "nearest", (0.5,) * 3, (0.5,) * 3)
    loader = ImageLoader(paths, spec, batch_size=3, workers=2)
    with warnings.catch_warnings():
        warnings.simplefilter(action)  # type: ignore[arg-type]
        indices = np.concatenate([indices for _, indices in loader])
    assert indices.tolist() == list(range(7))
    assert [image.path.name for image in loader.skipped] == list(reasons)
    for image in loader.skipped:
        assert reasons[image.path.name] in image.reason


def test_strict_refuses_the_first_damaged_image(image_folder: Path) -> None:
    damage(image_folder)
    loader = ImageLoader(ImageFolder.scan(image_folder).paths, SPEC, strict=True)
    with pytest.raises(
        FullintError, match=r"broken-link\.png' cannot be used: No such file.*repair"
    ):
        list(loader)


def test_refuses_a_set_without_one_good_image(image_folder: Path) -> None:
    damage(image_folder)
    paths = ImageFolder.scan(image_folder / "d").paths
    bad = [path for path in paths if path.name != "strip.png"]
    with pytest.raises(FullintError, match="none of the 6 images can be used; the first"):
        list(ImageLoader(bad, SPEC))


def test_pillow_s_warnings_cost_no_image(
    tmp_path: Path, random_image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    palette = random_image(1, 40, 30, "P")
    palette.save(tmp_path / "palette.png", transparency=bytes(range(256)))
    random_image(2, 100, 50).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    with pytest.raises(Image.DecompressionBombWarning), Image.open(tmp_path / "large.png"):
        pass
    loader = ImageLoader(ImageFolder.scan(tmp_path).paths, SPEC)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ((pixels, _),) = loader
    assert loader.skipped == []
    assert len(pixels) == 2
    np.testing.assert_array_equal(pixels[1], SPEC(palette.convert("RGB")))


def test_a_decompression_bomb_is_skipped(
    image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("1", (3000, 1000)).save(image_folder / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    loader = ImageLoader(ImageFolder.scan(image_folder).paths, SPEC)
    assert sum(len(indices) for _, indices in loader) == 7
    assert "decompression bomb" in loader.skipped[0].reason


def test_decodes_only_a_bounded_number_ahead(tmp_path: Path) -> None:
    for index in range(40):
        Image.new("RGB", (16, 16)).save(tmp_path / f"{index:02}.png")
    decoded = 0

    class Counting(ImageLoader):
        def _decode(self, path: Path) -> Any:
            nonlocal decoded
            decoded += 1
            return super()._decode(path)

    batches = iter(Counting(ImageFolder.scan(tmp_path).paths, SPEC, batch_size=4, workers=1))
    for served in range(4, 40, 4):
        next(batches)
        assert served <= decoded <= served + 4 + 1
    batches.close()  # type: ignore[attr-defined]


def test_stopping_early_leaves_no_thread(paths: tuple[Path, ...]) -> None:
    batches = iter(ImageLoader(paths, SPEC, batch_size=1, workers=2))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("fullint-decode")]


def test_refuses_senseless_arguments(paths: tuple[Path, ...]) -> None:
    with pytest.raises(FullintError, match="no images"):
        ImageLoader([], SPEC)
    with pytest.raises(FullintError, match="batch size is 0"):
        ImageLoader(paths, SPEC, batch_size=0)
    with pytest.raises(FullintError, match="number of workers is 0"):
        ImageLoader(paths, SPEC, workers=0)
