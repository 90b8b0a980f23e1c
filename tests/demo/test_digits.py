"""The demo's images, its model, and the script that trains the checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import train_digits
from fullint.data import Preprocessing
from fullint.demo import digits
from fullint.errors import FullintError


@pytest.fixture(scope="module")
def dataset() -> digits.DigitImages:
    return digits.load_digit_images()


def test_images_are_rgb_uint8_of_the_models_size(dataset: digits.DigitImages) -> None:
    assert dataset.images.shape == (1797, 32, 32, 3)
    assert dataset.images.dtype == np.uint8
    assert dataset.images.min() == 0
    assert dataset.images.max() == 255
    assert (dataset.images == dataset.images[..., :1]).all()  # gray


def test_held_out_images_are_a_quarter_of_each_digit(dataset: digits.DigitImages) -> None:
    assert dataset.held_out.sum() == 454
    shares = [dataset.held_out[dataset.labels == label].mean() for label in range(10)]
    assert np.allclose(shares, 0.25, atol=0.01)


def test_no_image_is_both_trained_on_and_held_out(dataset: digits.DigitImages) -> None:
    trained_on = {image.tobytes() for image in dataset.images[~dataset.held_out]}
    held_out = {image.tobytes() for image in dataset.images[dataset.held_out]}
    assert not trained_on & held_out


def test_checkpoint_is_small_float32_and_has_timms_names() -> None:
    assert digits.CHECKPOINT.stat().st_size < 1_000_000
    tensors = load_file(digits.CHECKPOINT)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert {"patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "head.bias"} <= set(tensors)


def test_held_out_accuracy(dataset: digits.DigitImages) -> None:
    images, labels, held_out = (torch.from_numpy(array) for array in dataset)
    model = digits.build_digits_model()
    assert not model.training
    correct = train_digits.count_correct(model, images[held_out], labels[held_out])
    assert correct >= 0.98 * len(labels[held_out])


def test_model_carries_its_preprocessing(dataset: digits.DigitImages) -> None:
    from timm.data import resolve_model_data_config

    data_config = resolve_model_data_config(digits.untrained_digits_model())
    assert data_config == digits.DIGITS_PREPROCESSING
    preprocessing = Preprocessing.from_timm(data_config)
    assert dataset.images.shape[1:] == (
        preprocessing.height,
        preprocessing.width,
        preprocessing.channels,
    )


def test_script_trains_the_demos_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "checkpoint.safetensors"
    monkeypatch.setattr(sys, "argv", ["train_digits.py", "--output", str(output), "--epochs", "1"])
    threads = torch.get_num_threads()
    try:
        train_digits.main()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
    assert "held-out accuracy" in capsys.readouterr().out
    with safe_open(output, "pt") as trained, safe_open(digits.CHECKPOINT, "pt") as shipped:
        shapes = [
            {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            for file in (trained, shipped)
        ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("missing", ["sklearn", "torch"])
def test_missing_dependency_names_the_extra(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    needs = {"sklearn": digits.load_digit_images, "torch": digits.untrained_digits_model}[missing]
    with pytest.raises(FullintError, match=r"pip install 'fullint\[quantize\]'"):
        needs()
