"""Which files an image folder holds, in which order, and their hash."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from fullint.data import ImageFolder
from fullint.errors import FullintError


def test_lists_images_at_any_depth_sorted_and_labelled(image_folder: Path) -> None:
    folder = ImageFolder.scan(image_folder)
    assert dict(zip(folder.relative_names, folder.labels, strict=True)) == {
        "a/deep/er/x.webp": "a",
        "a/y.ppm": "a",
        "b/10.jpg": "b",
        "b/2.PNG": "b",
        "c/t.tif": "c",
        "c/u.gif": "c",
        "c/z.bmp": "c",
    }
    assert list(folder.relative_names) == sorted(folder.relative_names)
    assert len(folder) == 7
    assert all(path.is_file() for path in folder.paths)


def test_images_outside_any_folder_have_no_label(image_folder: Path) -> None:
    folder = ImageFolder.scan(str(image_folder / "b"))
    assert folder.labels == (None, None)


def test_follows_links_but_not_in_circles(image_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    shutil.copytree(image_folder / "b", other)
    (image_folder / "linked").symlink_to(other)
    (image_folder / "a" / "loop").symlink_to(image_folder)
    names = ImageFolder.scan(image_folder).relative_names
    assert [name for name in names if "link" in name or "loop" in name] == [
        "linked/10.jpg",
        "linked/2.PNG",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_leaves_out_pipes_but_lists_broken_links(image_folder: Path) -> None:
    os.mkfifo(image_folder / "b" / "pipe.png")
    (image_folder / "b" / "broken.png").symlink_to("nowhere.png")
    names = ImageFolder.scan(image_folder).relative_names
    assert "b/pipe.png" not in names
    assert "b/broken.png" in names


def test_refuses_what_is_no_folder_of_images(image_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FullintError, match=r"absent' does not exist; expected a folder of images"):
        ImageFolder.scan(tmp_path / "absent")
    with pytest.raises(FullintError, match=r"2\.PNG' is not a folder; expected"):
        ImageFolder.scan(image_folder / "b" / "2.PNG")
    (tmp_path / "empty" / "class").mkdir(parents=True)
    with pytest.raises(FullintError, match=r"empty' holds no images \(jpg, jpeg, png"):
        ImageFolder.scan(tmp_path / "empty")


def test_refuses_an_unreadable_folder(image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(FullintError, match=r"cannot be listed: Permission denied \("):
        ImageFolder.scan(image_folder)


def test_content_hash_depends_on_names_bytes_and_order_only(
    image_folder: Path, tmp_path: Path
) -> None:
    folder = ImageFolder.scan(image_folder)
    original = folder.content_hash()
    assert len(original) == 64

    moved = shutil.copytree(image_folder, tmp_path / "moved")
    assert ImageFolder.scan(moved).content_hash() == original
    assert folder.content_hash(range(7)) == original
    assert folder.content_hash([1, 0, 2, 3, 4, 5, 6]) != original
    assert folder.content_hash(range(6)) != original

    (moved / "b" / "2.PNG").rename(moved / "b" / "3.PNG")
    assert ImageFolder.scan(moved).content_hash() != original
    (moved / "b" / "3.PNG").rename(moved / "b" / "2.PNG")
    with (moved / "b" / "2.PNG").open("ab") as file:
        file.write(b"\0")
    assert ImageFolder.scan(moved).content_hash() != original


def test_content_hash_names_a_file_that_vanished(image_folder: Path) -> None:
    folder = ImageFolder.scan(image_folder)
    (image_folder / "b" / "2.PNG").unlink()
    with pytest.raises(FullintError, match=r"2\.PNG' cannot be read"):
        folder.content_hash()
