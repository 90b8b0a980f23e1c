"""Class indices from folder names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fullint.data import (
    ClassMap,
    ImageFolder,
    imagenet_class_ids,
    imagenet_class_names,
    resolve_class_map,
)
from fullint.errors import FullintError

IDS = ("n01440764", "n01443537", "n01484850")


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_index_comes_from_the_name_not_from_the_folder_s_rank() -> None:
    class_map = ClassMap.from_ids(IDS)
    assert class_map.num_classes == 3
    assert class_map.indices(["n01484850", "n01443537", "n01484850"]).tolist() == [2, 1, 2]


def test_unknown_folder_is_named_with_near_names() -> None:
    class_map = ClassMap.from_ids(["n01440764", "plant", "stone"], "the model's class ids")
    with pytest.raises(FullintError) as caught:
        class_map.indices(["n01440764", "n02440765", "zebra", "zebra"])
    assert str(caught.value) == (
        "folder 'n02440765' is not in the model's class ids (near: 'n01440764'); "
        "2 of 3 folders have no class, give --class-map FILE with the class of each folder"
    )


def test_images_without_folder_have_no_class() -> None:
    with pytest.raises(FullintError, match="outside any class folder"):
        ClassMap.from_ids(IDS).indices(["n01440764", None])


def test_repeated_id_is_refused() -> None:
    with pytest.raises(FullintError, match="name the class 'a' twice"):
        ClassMap.from_ids(["a", "b", "a"])


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("ids.txt", "cat\ngreat white shark\ndog\n", {"cat": 0, "great white shark": 1, "dog": 2}),
        ("ids.txt", "\ufeffcat\r\nbird\r\ndog\r\n\r\n", {"cat": 0, "bird": 1, "dog": 2}),
        ("pairs.txt", "dog 2\ngreat white shark\t0\n", {"dog": 2, "great white shark": 0}),
        ("pairs.map", "tabby 1\ntiger 1", {"tabby": 1, "tiger": 1}),
        ("map.json", '{"dog": 2, "cat": 0}', {"dog": 2, "cat": 0}),
        ("map.JSON", '{"größe": 1}', {"größe": 1}),
    ],
)
def test_class_map_files(tmp_path: Path, name: str, content: str, expected: dict[str, int]) -> None:
    class_map = ClassMap.from_file(write(tmp_path, name, content), num_classes=3)
    assert class_map.index_of == expected
    assert class_map.indices(list(expected)).tolist() == list(expected.values())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "cat\ndog\n", "lists 2 classes, the model has 3"),
        ("a.txt", "cat\ndog\ncat\n", "names 'cat' twice"),
        ("a.txt", "cat 0\ncat 1\n", "names 'cat' twice"),
        ("a.txt", "cat 0\ndog 3\n", "gives 'dog' the index 3, expected an integer from 0 to 2"),
        ("a.txt", "", "is empty"),
        ("a.txt", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("a.json", "{}", "is empty"),
        ("a.json", "{", "is not valid JSON"),
        ("a.json", "[" * 100_000, "is not valid JSON"),
        ("a.json", '["cat"]', "must be a JSON object"),
        ("a.json", "[]", "must be a JSON object"),
        ("a.json", '{"cat": 0, "cat": 1}', "names 'cat' twice"),
        ("a.json", '{"cat": -1}', "gives 'cat' the index -1"),
        ("a.json", '{"cat": true}', "gives 'cat' the index True"),
        ("a.json", '{"cat": 1.0}', "gives 'cat' the index 1.0"),
        ("a.json", '{"0": ["n01440764", "tench"]}', "gives '0' the index"),
    ],
)
def test_bad_class_map_files(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(FullintError, match=message) as caught:
        ClassMap.from_file(write(tmp_path, name, content), num_classes=3)
    assert name in str(caught.value)


def test_absent_class_map_file(tmp_path: Path) -> None:
    with pytest.raises(FullintError, match=r"absent\.txt' cannot be read: No such file"):
        ClassMap.from_file(tmp_path / "absent.txt", num_classes=3)


def test_folders_alone_are_ranked_with_numbers_by_value() -> None:
    class_map = ClassMap.from_folders(["10", "9", "0", "9"], num_classes=3)
    assert class_map.index_of == {"0": 0, "9": 1, "10": 2}
    assert "order of the 3 folder names" in class_map.origin
    with pytest.raises(FullintError, match="2 class folders cannot be matched with 3 classes"):
        ClassMap.from_folders(["0", "1"], num_classes=3)


def test_resolution_prefers_what_is_most_certain(tmp_path: Path) -> None:
    file = write(tmp_path, "map.json", json.dumps({"n01440764": 2}))
    labels = ["n01440764"]
    assert resolve_class_map(labels, 3, file, IDS).index_of == {"n01440764": 2}
    assert resolve_class_map(labels, 3, None, IDS).index_of["n01440764"] == 0
    # A model of as many classes as there are folders, none of which it knows by name:
    assert "order" in resolve_class_map(["x", "y", "z"], 3, None, IDS).origin
    assert "order" in resolve_class_map(["x", "y", "z"], 3).origin
    # One known folder is enough to show that the names are meant:
    with pytest.raises(FullintError, match="folder 'y' is not in the model's class ids"):
        resolve_class_map(["n01440764", "y", "z"], 3, None, IDS).indices(["y"])
    with pytest.raises(FullintError, match="2 class ids do not fit 3 classes"):
        resolve_class_map(labels, 3, None, IDS[:2])


@pytest.mark.usefixtures("timm")
def test_imagenet_classes() -> None:
    ids, names = imagenet_class_ids(1000), imagenet_class_names(1000)
    assert ids is not None
    assert names is not None
    assert len(set(ids)) == len(names) == 1000
    assert ids[0] == "n01440764"
    assert names[0].startswith("tench")
    assert ids[999] == "n15075141"
    assert imagenet_class_ids(7) is None
    assert imagenet_class_names(7) is None
    for num_classes in (11821, 21841, 21843):
        assert len(ClassMap.from_ids(imagenet_class_ids(num_classes) or ()).index_of) == num_classes


@pytest.mark.real_data
@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize("name", ["cc-calibration", "cc-validation", "val-1300"])
def test_real_folders_hold_a_subset_of_the_classes(real_data: Path, name: str) -> None:
    folder: Any = ImageFolder.scan(real_data / "images" / name)
    assert len(folder) == {"cc-calibration": 128, "cc-validation": 372, "val-1300": 1300}[name]
    class_map = resolve_class_map(folder.labels, 1000, class_ids=imagenet_class_ids(1000))
    indices = class_map.indices(folder.labels)
    ids = imagenet_class_ids(1000) or ()
    assert [ids[index] for index in indices] == list(folder.labels)
