"""Calibration images from arrays and folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fullint.calibration import CalibrationSet
from fullint.errors import FullintError

from .small_models import images, preprocessing


def folder_of(batch: np.ndarray, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(batch):
        Image.fromarray(image).save(folder / f"{index:03}.png")
    return folder


def stacked(calibration: CalibrationSet) -> np.ndarray:
    return torch.cat(list(calibration.batches())).numpy()


def test_array_batches_start_anew_each_time() -> None:
    batch = images(20)
    calibration = CalibrationSet(batch, preprocessing(), batch_size=8)
    for _ in range(2):
        sizes = [len(pixels) for pixels in calibration.batches()]
        assert sizes == [8, 8, 4]
        assert np.array_equal(stacked(calibration), batch)
    assert calibration.batches().__next__().dtype == torch.float32
    assert (len(calibration), calibration.used, calibration.folder_name) == (20, 20, None)


def test_folder_gives_the_same_pixels(tmp_path: Path) -> None:
    batch = images(9)
    calibration = CalibrationSet(folder_of(batch, tmp_path / "some"), preprocessing())
    assert np.array_equal(stacked(calibration), batch)
    assert calibration.folder_name == "some"


def test_limit_spreads_evenly() -> None:
    batch = images(30)
    calibration = CalibrationSet(batch, preprocessing(), limit=10)
    assert len(calibration) == 10 and len(set(calibration.indices)) == 10
    assert calibration.indices[0] == 0 and calibration.indices[-1] == 29
    assert np.array_equal(stacked(calibration), batch[calibration.indices])


@pytest.mark.parametrize("limit", [30, 31, None])
def test_limit_beyond_the_images_takes_them_all(limit: int | None) -> None:
    assert len(CalibrationSet(images(30), preprocessing(), limit=limit)) == 30


@pytest.mark.parametrize(("count", "limit"), [(7, None), (1, None), (30, 7)])
def test_too_few_images(count: int, limit: int | None) -> None:
    with pytest.raises(FullintError, match=r"\d calibration images are too few.*at least 8"):
        CalibrationSet(images(count), preprocessing(), limit=limit)


@pytest.mark.parametrize(
    "wrong",
    [
        images(9).astype(np.float32),
        images(9, 28),
        images(9)[0],
        images(9).transpose(0, 3, 1, 2),
        np.zeros((0,), np.uint8),
    ],
)
def test_wrong_arrays_say_what_is_expected(wrong: np.ndarray) -> None:
    expected = r"expected uint8 pixels \(images, 32, 32, 3\), or the path of a folder"
    with pytest.raises(FullintError, match=expected):
        CalibrationSet(wrong, preprocessing())


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(FullintError):
        CalibrationSet(tmp_path / "missing", preprocessing())
    with pytest.raises(FullintError):
        CalibrationSet(tmp_path, preprocessing())


def test_corrupt_files_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = folder_of(images(10), tmp_path)
    (folder / "004.png").write_bytes(b"nothing")
    calibration = CalibrationSet(folder, preprocessing())
    assert len(stacked(calibration)) == 9
    assert calibration.used == 9
    assert [image.path.name for image in calibration.skipped] == ["004.png"]
    # A pass that is broken off says nothing new.
    next(calibration.batches())
    assert calibration.used == 9


def test_too_few_readable_files(tmp_path: Path) -> None:
    folder = folder_of(images(9), tmp_path)
    for index in range(4):
        (folder / f"{index:03}.png").write_bytes(b"nothing")
    calibration = CalibrationSet(folder, preprocessing())
    with pytest.raises(FullintError, match=r"5 calibration images are too few.*4 more cannot"):
        stacked(calibration)


def test_strict_names_the_corrupt_file(tmp_path: Path) -> None:
    folder = folder_of(images(10), tmp_path)
    (folder / "004.png").write_bytes(b"nothing")
    with pytest.raises(FullintError, match=r"004\.png"):
        stacked(CalibrationSet(folder, preprocessing(), strict=True))


def test_hash_depends_on_the_images_and_not_on_the_batches(tmp_path: Path) -> None:
    batch = images(12)
    same = [
        CalibrationSet(batch.copy(), preprocessing(), batch_size=size).content_hash()
        for size in (3, 16)
    ]
    other = batch.copy()
    other[5, 3, 3, 1] ^= 1
    assert same[0] == same[1] != CalibrationSet(other, preprocessing()).content_hash()
    half = CalibrationSet(batch, preprocessing(), limit=8)
    assert half.content_hash() not in same
    one, two = (folder_of(batch, tmp_path / name) for name in "ab")
    hashes = {CalibrationSet(folder, preprocessing()).content_hash() for folder in (one, two)}
    assert len(hashes) == 1
