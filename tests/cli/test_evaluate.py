"""`fullint evaluate`: figures, class maps, records, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fullint
from fullint.data import ImageFolder, Preprocessing


@pytest.fixture
def own(artefact: Path, tmp_path: Path) -> Path:
    """A copy of the saved model that a test may change."""
    return Path(shutil.copytree(artefact, tmp_path / "own"))


def expected_top1(artefact: Path, images: Path) -> int:
    """How many images the model gets right, image by image."""
    model = fullint.load(artefact)
    assert model.preprocessing is not None
    prepare = Preprocessing.from_dict(model.preprocessing)
    folder = ImageFolder.scan(images)
    right = 0
    for path, label in zip(folder.paths, folder.labels, strict=True):
        with Image.open(path) as image:
            logits = model(prepare(image)[np.newaxis])
        right += f"c{logits.argmax()}" == label
    return right


def test_counts_what_the_model_gets_right(run: Callable, artefact: Path, images: Path) -> None:
    outcome = run("evaluate", artefact, "--data-dir", images, "--batch-size", 5)
    assert outcome.code == 0, outcome.err
    share = 100 * expected_top1(artefact, images) / 24
    assert outcome.out.startswith(f"integer Acc@1 {share:.2f} (± ")
    assert "Acc@3 100.00 (± 0.00) n=24\n" in outcome.out
    assert "images/s" in outcome.out
    assert outcome.err == "24 images; classes by the model's class ids\n"


def test_a_subset_of_the_classes_keeps_their_indices(
    run: Callable, artefact: Path, images: Path, tmp_path: Path
) -> None:
    shutil.copytree(images / "c2", tmp_path / "images" / "c2")
    outcome = run("evaluate", artefact, "--data-dir", tmp_path / "images")
    share = 100 * expected_top1(artefact, tmp_path / "images") / 8
    assert outcome.out.startswith(f"integer Acc@1 {share:.2f} (± ")


def test_compares_with_the_float_model_and_keeps_the_result(
    run: Callable, own: Path, images: Path, checkpoint: Path, tmp_path: Path
) -> None:
    arguments = ["evaluate", own, "--data-dir", images, "--limit", 10]
    reference = ["--reference", "test_vit", "--checkpoint", checkpoint]
    results = tmp_path / "results.csv"
    outcome = run(*arguments, *reference, "--results-file", results, "--record")
    assert outcome.code == 0, outcome.err
    assert "float   Acc@1 " in outcome.out
    assert "n=10" in outcome.out
    assert "agreement " in outcome.out
    assert run(*arguments, "--results-file", results).code == 0
    with results.open(newline="") as file:
        compared, alone = csv.DictReader(file)
    assert (compared["model"], compared["data"], compared["images"]) == ("test_vit", "images", "10")
    assert compared["top1"] == alone["top1"]
    assert float(compared["agreement"]) >= 50
    assert (alone["agreement"], alone["reference"]) == ("", "")
    [measurement] = fullint.load(own).metadata.measurements
    assert measurement["data"] == "images"
    assert measurement["agreement"] == float(compared["agreement"])
    assert "`images`, 10 images: top-1 " in (own / "README.md").read_text()
    shown = run("inspect", own).out
    assert "measured on images: images 10, skipped 0, top1 " in shown


def test_the_crop_is_an_option_and_in_the_results(
    run: Callable, artefact: Path, images: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results.csv"
    arguments = ["evaluate", artefact, "--data-dir", images, "--results-file", results]
    assert run(*arguments, "--crop-mode", "plain", "--crop-pct", 0.5).code == 0
    assert run(*arguments).code == 0
    with results.open(newline="") as file:
        rows = [(row["crop_mode"], row["crop_pct"]) for row in csv.DictReader(file)]
    assert rows[0] == ("plain", "0.5")
    assert rows[1][0] == "center"
    refused = run(*arguments, "--crop-mode", "middle")
    assert "preprocessing field 'crop_mode' is 'middle', expected one of center" in refused.err


def test_a_class_map_gives_the_classes(
    run: Callable, artefact: Path, images: Path, tmp_path: Path
) -> None:
    for index in range(3):
        shutil.copytree(images / f"c{index}", tmp_path / "images" / f"flower {index}")
    refused = run("evaluate", artefact, "--data-dir", tmp_path / "images" / "flower 0")
    assert "outside any class folder" in refused.err
    shutil.rmtree(tmp_path / "images" / "flower 1")
    arguments = ["evaluate", artefact, "--data-dir", tmp_path / "images"]
    refused = run(*arguments)
    assert refused.code == 1
    assert "folder 'flower 0' is not in the model's class ids" in refused.err
    assert "give --class-map FILE" in refused.err
    (tmp_path / "map.json").write_text(json.dumps({"flower 0": 0, "flower 2": 2}))
    assert run(*arguments, "--class-map", tmp_path / "map.json").code == 0


def test_damaged_images_are_named_and_counted_or_refused(
    run: Callable, artefact: Path, images: Path, tmp_path: Path
) -> None:
    shutil.copytree(images, tmp_path / "images")
    (tmp_path / "images" / "c1" / "01.png").write_bytes(b"no image")
    arguments = ["evaluate", artefact, "--data-dir", tmp_path / "images"]
    outcome = run(*arguments)
    assert outcome.code == 0
    assert "warning: skipped image " in outcome.err
    assert "01.png" in outcome.err
    assert "n=23" in outcome.out
    assert "skipped 1 images" in outcome.out
    refused = run(*arguments, "--strict")
    assert refused.code == 1
    assert "01.png" in refused.err


def test_refuses_a_damaged_edited_or_newer_model(run: Callable, own: Path, images: Path) -> None:
    config, weights = own / "config.json", own / "model.safetensors"
    text, data = config.read_text(), weights.read_bytes()

    def sentence() -> str:
        for command in (["evaluate", own, "--data-dir", images], ["inspect", own]):
            outcome = run(*command)
            assert (outcome.code, outcome.out) == (1, "")
            assert outcome.err.startswith(f"error: cannot load '{own}'")
            assert len(outcome.err.splitlines()) == 1
        return str(outcome.err)

    weights.write_bytes(data[:-100])
    assert "model.safetensors: it is truncated" in sentence()
    weights.write_bytes(data)
    config.write_text(text[: len(text) // 2])
    assert "config.json: it is not valid JSON" in sentence()
    config.write_text(text.replace("test_vit", "best_vit"))
    assert "was edited" in sentence()
    config.write_text(text.replace('"schema_version": 2', '"schema_version": 3'))
    assert "newer fullint" in sentence()
    config.unlink()
    assert "config.json: it does not exist" in sentence()
    shutil.rmtree(own)
    assert "it does not exist" in sentence()


def test_refuses_a_reference_that_is_not_the_model_s(
    run: Callable, artefact: Path, images: Path, checkpoint: Path, tmp_path: Path
) -> None:
    arguments = ["evaluate", artefact, "--data-dir", images]
    alone = run(*arguments, "--checkpoint", checkpoint)
    assert alone.code == 2
    assert "--reference" in alone.err
    misfit = run(*arguments, "--reference", "test_vit2", "--checkpoint", checkpoint)
    assert (misfit.code, "does not fit" in misfit.err) == (1, True)

    from fullint.capture.torchvision_compat import import_timm

    timm = import_timm()
    timm.models.save_for_hf(timm.create_model("test_vit"), tmp_path / "hub")
    other = run(*arguments, "--reference", f"local-dir:{tmp_path / 'hub'}")
    assert other.code == 1
    assert "has classes 1000, the integer model 3" in other.err


def test_refuses_a_results_file_that_cannot_be_before_the_work(
    run: Callable, artefact: Path, images: Path, tmp_path: Path
) -> None:
    outcome = run(
        "evaluate", artefact, "--data-dir", images, "--results-file", tmp_path / "no" / "r.csv"
    )
    assert (outcome.code, outcome.out) == (1, "")
    assert "lies in a folder that is not there" in outcome.err
    assert os.listdir(tmp_path) == []
