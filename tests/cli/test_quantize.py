"""`fullint quantize`: what it makes, and all that it refuses without leaving anything behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fullint


def test_says_what_was_made_and_what_to_do_next(
    quantized: tuple[Path, Any], checkpoint: Path
) -> None:
    folder, outcome = quantized
    out = outcome.out
    assert "test_vit (W.safetensors)" in out
    assert "24 images of 'images'" in out
    assert "float 1.20 MB -> integer" in out
    assert "of 8 images" in out
    assert "peak memory" in out
    assert "\nfloat operations left: 0\n" in out
    reference = f"--reference test_vit --checkpoint {checkpoint}"
    next_command = out.splitlines()[-1].strip()
    assert next_command == (f"fullint evaluate {folder} --data-dir FOLDER {reference}")
    assert outcome.err == ""
    assert sorted(os.listdir(folder.parent)) == ["classes.txt", "out"]


def test_the_saved_model_runs_and_knows_its_origin(artefact: Path, checkpoint: Path) -> None:
    model = fullint.load(artefact)
    assert model.input_size == (32, 32, 3)
    assert model.metadata.class_ids == ["c0", "c1", "c2"]
    assert model.preprocessing is not None
    assert model.preprocessing["height"] == 32
    provenance = model.metadata.provenance
    assert (provenance.model, provenance.checkpoint) == ("test_vit", checkpoint.name)
    assert provenance.calibration is not None
    assert provenance.calibration.images == 24
    assert model(np.zeros((2, 32, 32, 3), np.uint8)).shape == (2, 3)


def test_options_reach_their_place(
    run: Callable, images: Path, model_options: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    flags = ["--images", "9", "--batch-size", "2", "--recipe", "fq-vit"]
    crop = ["--crop-pct", "0.7", "--crop-mode", "plain"]
    outcome = run("quantize", *model_options, *flags, *crop, "--data-dir", images, "-o", out)
    assert outcome.code == 0, outcome.err
    metadata = fullint.load(out).metadata
    assert metadata.class_ids is None
    assert metadata.preprocessing is not None
    assert metadata.preprocessing["crop_pct"] == 0.7
    assert metadata.preprocessing["crop_mode"] == "plain"
    assert metadata.provenance.recipe == "fq-vit"
    assert metadata.provenance.calibration is not None
    assert metadata.provenance.calibration.images == 9
    assert metadata.provenance.simulation_agreement is not None
    assert metadata.provenance.simulation_agreement.images == 8


def test_operations_by_name(
    run: Callable, images: Path, model_options: list[str], tmp_path: Path
) -> None:
    chosen = ["--softmax", "e2softmax", "--layernorm", "ailayernorm", "--gelu", "shiftgelu"]
    options = [*model_options, "--images", "9", *chosen]
    outcome = run("quantize", *options, "--data-dir", images, "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    model = fullint.load(tmp_path / "out")
    assert model.metadata.provenance.recipe == "default+e2softmax+ailayernorm+shiftgelu"
    kinds = {operation.kind for operation in model.program.operations}
    assert {"e2softmax", "ailayernorm", "shiftgelu"} <= kinds
    assert not kinds & {"softmax", "exponentials", "layer_norm", "lookup"}


def test_a_recipe_from_a_file(
    run: Callable, images: Path, model_options: list[str], tmp_path: Path
) -> None:
    recipe = tmp_path / "mine.yaml"
    arguments = ["quantize", *model_options, "--data-dir", images, "--recipe", recipe]
    text = "base: default\nname: mine\nsummary: x\nweights: {symmetric: true, num_bits: 4}\n"
    recipe.write_text(text)
    outcome = run(*arguments, "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert "mine (weights 4 bits, activations 8 bits" in outcome.out
    recipe.write_text(text + "simulation_only: its grids are too wide\n")
    refused = run(*arguments, "-o", tmp_path / "other")
    assert refused.code == 1
    assert "recipe 'mine' has no integer program: its grids are too wide" in refused.err


def copy_with_damage(images: Path, target: Path, damaged: int) -> list[Path]:
    shutil.copytree(images, target)
    victims = sorted(target.rglob("*.png"))[:damaged]
    for path in victims:
        path.write_bytes(path.read_bytes()[:100])
    return victims


def test_damaged_images_are_named_skipped_and_counted(
    run: Callable, images: Path, model_options: list[str], tmp_path: Path
) -> None:
    victims = copy_with_damage(images, tmp_path / "images", 2)
    victims[1].unlink()
    victims[1].symlink_to("nowhere.png")
    arguments = ["quantize", *model_options, "--data-dir", tmp_path / "images"]
    out = tmp_path / "out"
    outcome = run(*arguments, "-o", out)
    assert outcome.code == 0
    assert [line.split(":")[1].strip() for line in outcome.err.splitlines()] == [
        f"skipped image {str(path)!r}" for path in victims
    ]
    assert "22 images of 'images'" in outcome.out
    assert any(line.split() == ["skipped", "images", "2"] for line in outcome.out.splitlines())
    refused = run(*arguments, "-o", tmp_path / "strict", "--strict")
    assert refused.code == 1
    assert refused.err.startswith(f"error: image {str(victims[0])!r} cannot be used")
    assert not (tmp_path / "strict").exists()


def test_too_few_images_are_left_after_skipping(
    run: Callable, images: Path, model_options: list[str], tmp_path: Path
) -> None:
    victims = copy_with_damage(images, tmp_path / "images", 20)
    outcome = run(
        "quantize", *model_options, "--data-dir", tmp_path / "images", "-o", tmp_path / "out"
    )
    assert outcome.code == 1
    assert outcome.err.startswith("error: 4 calibration images are too few")
    assert f"20 more cannot be used, such as {str(victims[0])!r}: " in outcome.err
    assert os.listdir(tmp_path) == ["images"]


@pytest.fixture
def refuses(
    run: Callable, images: Path, model_options: list[str], tmp_path: Path
) -> Callable[..., str]:
    """Function of arguments to the one sentence with which they are refused; they come last, so
    that they override the arguments that would have been right."""

    def refused(*arguments: object, model: str = "test_vit") -> str:
        before = sorted(tmp_path.rglob("*"))
        defaults = [*model_options[1:], "--data-dir", images, "-o", tmp_path / "out"]
        outcome = run("quantize", model, *defaults, *arguments)
        assert outcome.code == 1
        assert outcome.out == ""
        assert outcome.err.startswith("error: ")
        assert len(outcome.err.splitlines()) == 1
        assert sorted(tmp_path.rglob("*")) == before
        return str(outcome.err)

    return refused


def test_refuses_an_unknown_model_with_near_names(refuses: Callable) -> None:
    sentence = refuses(model="deit_tiny_patch16_24")
    assert "unknown model 'deit_tiny_patch16_24'" in sentence
    assert "deit_tiny_patch16_224" in sentence


def test_refuses_an_unknown_recipe_with_near_names(refuses: Callable) -> None:
    assert "did you mean default" in refuses("--recipe", "defualt")


def test_refuses_an_unknown_operation(refuses: Callable) -> None:
    assert "unknown softmax 'softermax'" in refuses("--softmax", "softermax")


def test_refuses_wrong_folders(refuses: Callable, tmp_path: Path, checkpoint: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "does not exist" in refuses("--data-dir", tmp_path / "none")
    assert "holds no images" in refuses("--data-dir", tmp_path / "empty")
    assert "is not a folder" in refuses("--data-dir", checkpoint)


def test_refuses_too_few_images(refuses: Callable, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    assert "error: 1 calibration images are too few" in refuses("--data-dir", tmp_path)
    assert "error: 5 calibration images are too few" in refuses("--images", 5)


def test_refuses_an_existing_output_before_the_work(
    refuses: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    monkeypatch.setattr("fullint.sources.load_timm_model", pytest.fail)
    assert "exists already" in refuses()
    assert "'thesis.txt', which is no part of a saved model" in refuses("--overwrite")


def test_overwrites_a_saved_model_when_told_to(
    run: Callable, artefact: Path, images: Path, model_options: list[str], tmp_path: Path
) -> None:
    shutil.copytree(artefact, tmp_path / "out")
    arguments = ["quantize", *model_options, "--data-dir", images, "-o", tmp_path / "out"]
    assert run(*arguments, "--images", 8, "--overwrite").code == 0
    calibration = fullint.load(tmp_path / "out").metadata.provenance.calibration
    assert calibration is not None
    assert calibration.images == 8
    assert os.listdir(tmp_path) == ["out"]


def test_refuses_checkpoints_that_are_missing_damaged_or_do_not_fit(
    refuses: Callable, checkpoint: Path, tmp_path: Path
) -> None:
    assert "is not a file" in refuses("--checkpoint", tmp_path / "none.safetensors")
    for name in ("damaged.safetensors", "damaged.pth"):
        damaged = tmp_path / name
        damaged.write_bytes(checkpoint.read_bytes()[:1000])
        assert f"'{damaged}' cannot be read" in refuses("--checkpoint", damaged)
    assert "does not fit 'test_vit': size mismatch for head" in refuses("--num-classes", 4)
    assert "does not fit 'test_vit2': " in refuses(model="test_vit2")


def test_refuses_nan_in_weights(refuses: Callable, checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(checkpoint)
    weights["blocks.1.mlp.fc1.weight"][3, 5] = float("nan")
    save_file(weights, tmp_path / "nan.safetensors")
    sentence = refuses("--checkpoint", tmp_path / "nan.safetensors")
    assert "parameter blocks.1.mlp.fc1.weight contains NaN" in sentence


@pytest.mark.parametrize(
    ("names", "message"), [("c0\nc1", "lists 2 classes"), ("a 0\nb 0\nc 1", "3 names for 2")]
)
def test_refuses_a_class_map_that_does_not_name_every_class(
    refuses: Callable, tmp_path: Path, names: str, message: str
) -> None:
    (tmp_path / "classes.txt").write_text(names)
    assert message in refuses("--class-map", tmp_path / "classes.txt")


def test_refuses_pretrained_weights_of_other_classes(
    run: Callable, checkpoint: Path, images: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    from fullint.capture.torchvision_compat import import_timm

    timm = import_timm()
    model = timm.create_model("test_vit", img_size=32, num_classes=3)
    model.load_state_dict(load_file(checkpoint))
    model.pretrained_cfg = {**model.pretrained_cfg, "num_classes": 3, "input_size": (3, 32, 32)}
    timm.models.save_for_hf(model, tmp_path / "hub", safe_serialization=True)
    arguments = [f"local-dir:{tmp_path / 'hub'}", "--img-size", 32, "--data-dir", images]
    refused = run("quantize", *arguments, "--num-classes", 7, "-o", tmp_path / "out")
    assert refused.code == 1
    assert "have 3 classes, not 7" in refused.err
    assert not (tmp_path / "out").exists()
    accepted = run("quantize", *arguments, "-o", tmp_path / "out")
    assert accepted.code == 0, accepted.err


@pytest.mark.slow
@pytest.mark.real_data
def test_deit_tiny(run: Callable, real_data: Path, tmp_path: Path) -> None:
    model = ["deit_tiny_patch16_224"]
    weights = ["--checkpoint", real_data / "weights" / "deit_tiny_patch16_224.safetensors"]
    folders = real_data / "images"
    made = run(
        "quantize", *model, *weights, "--data-dir", folders / "cc-calibration",
        "--images", 16, "-o", tmp_path / "out",
    )  # fmt: skip
    assert made.code == 0, made.err
    assert "float 22.87 MB -> integer" in made.out
    measured = run(
        "evaluate", tmp_path / "out", "--data-dir", folders / "val-1300", "--limit", 26,
        "--reference", *model, *weights,
    )  # fmt: skip
    assert measured.code == 0, measured.err
    assert "n=26" in measured.out
    assert "the model's class ids" in measured.err
    agreement = float(measured.out.split("agreement ")[1].split()[0])
    assert agreement >= 90
