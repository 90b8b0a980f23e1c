"""From a float model and images to an integer model, through the public interface."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import fullint
from fullint.calibration import CalibrationSet
from fullint.errors import FullintError
from fullint.integer.model import IntegerModel

from .small_models import (
    changed,
    decibels,
    float_logits,
    images,
    model,
    preprocessing,
    vit,
    with_effect,
)


@pytest.fixture(scope="module")
def quantized() -> IntegerModel:
    return fullint.quantize(model("vit"), images(10), preprocessing=preprocessing())


def folder_of(batch: np.ndarray, folder: Path) -> Path:
    folder.mkdir()
    for index, image in enumerate(batch):
        Image.fromarray(image).save(folder / f"{index:03}.png")
    return folder


def same_program(a: IntegerModel, b: IntegerModel) -> bool:
    same_constants = a.program.constants.keys() == b.program.constants.keys() and all(
        np.array_equal(values, b.program.constants[name])
        for name, values in a.program.constants.items()
    )
    return a.program.operations == b.program.operations and same_constants


def test_metadata_are_filled_in(quantized: IntegerModel) -> None:
    provenance = quantized.metadata.provenance
    assert provenance.model == "VisionTransformer"
    assert provenance.recipe == "default"
    assert provenance.recipe_declaration["weights"]["num_bits"] == 8
    assert provenance.bits == {"weights": 8, "activations": 8, "attention": 8}
    assert provenance.float_bytes == 4 * sum(p.numel() for p in model("vit").parameters())
    assert provenance.calibration is not None
    assert (provenance.calibration.images, provenance.calibration.folder) == (10, None)
    assert provenance.simulation_agreement is not None
    assert provenance.simulation_agreement.images == 8
    assert {"blocks_0_add", "head"} <= {entry["tensor"] for entry in provenance.layer_report}
    assert provenance.fullint_version == fullint.__version__
    assert quantized.preprocessing == preprocessing().to_dict()
    assert quantized.metadata.class_ids is None


def test_quantizing_twice_gives_the_same_program(quantized: IntegerModel) -> None:
    again = fullint.quantize(model("vit"), images(10), preprocessing=preprocessing())
    assert same_program(quantized, again)
    assert again.metadata == quantized.metadata


def test_the_model_is_left_as_it_was() -> None:
    module = vit().train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    fullint.quantize(module, images(8), preprocessing=preprocessing())
    assert module.training
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("as_text", [True, False])
def test_folder_and_array_are_the_same(
    as_text: bool, quantized: IntegerModel, tmp_path: Path
) -> None:
    folder = folder_of(images(10), tmp_path / "calibration")
    from_folder = fullint.quantize(
        model("vit"), str(folder) if as_text else folder, preprocessing=preprocessing()
    )
    assert same_program(from_folder, quantized)
    calibration = from_folder.metadata.provenance.calibration
    assert calibration is not None
    assert (calibration.images, calibration.folder) == (10, "calibration")
    assert calibration.sha256 is not None and len(calibration.sha256) == 64


def test_corrupt_files_are_not_counted(tmp_path: Path) -> None:
    folder = folder_of(images(12), tmp_path / "calibration")
    (folder / "011.png").write_bytes(b"nothing")
    calibration = CalibrationSet(folder, preprocessing(), batch_size=4)
    result = fullint.quantize(model("vit"), calibration, preprocessing=preprocessing())
    assert result.metadata.provenance.calibration is not None
    assert result.metadata.provenance.calibration.images == 11
    assert len(calibration.skipped) == 1


def test_timm_sources_bring_their_preprocessing() -> None:
    source = fullint.load_timm_model(
        "vit_tiny_patch16_224",
        pretrained=False,
        img_size=32,
        patch_size=8,
        embed_dim=16,
        depth=1,
        num_heads=2,
    )
    result = fullint.quantize(source, images(8), recipe="fq-vit")
    assert result.preprocessing == source.preprocessing.to_dict()
    assert result.metadata.provenance.model == "vit_tiny_patch16_224"
    assert result.metadata.class_ids is not None and len(result.metadata.class_ids) == 1000
    # A timm model by itself only knows the size of its pretrained images.
    with pytest.raises(FullintError, match=r"expected uint8 pixels \(images, 224, 224, 3\)"):
        fullint.quantize(source.model, images(8), recipe="fq-vit")
    again = fullint.quantize(
        source.model, images(8), recipe="fq-vit", preprocessing=source.preprocessing
    )
    assert again.preprocessing == result.preprocessing
    assert same_program(again, result)


class Perceptron(nn.Module):
    """No transformer at all, and not timm's."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 24, 8, 8), nn.LayerNorm(24)
        self.hidden, self.head = nn.Linear(24, 48), nn.Linear(48, 6)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tokens = self.norm(self.patches(image).flatten(2).transpose(1, 2))
        return self.head(torch.relu(self.hidden(tokens)).mean(1))


def test_any_module_with_preprocessing() -> None:
    module = with_effect(Perceptron())
    batch = images(16)
    result = fullint.quantize(module, batch, preprocessing=preprocessing())
    logits = result(batch) * result.program.logit_scale
    assert decibels(float_logits(module, batch), logits) > 30
    with pytest.raises(FullintError, match="Perceptron does not say how images are prepared"):
        fullint.quantize(module, batch)


def test_recipe_objects(quantized: IntegerModel) -> None:
    with pytest.raises(FullintError):
        fullint.quantize(model("vit"), images(8), recipe="nonsense", preprocessing=preprocessing())
    result = fullint.quantize(
        model("vit"),
        images(10),
        recipe=changed("default", name="mine"),
        preprocessing=preprocessing(),
    )
    assert result.metadata.provenance.recipe == "mine"
    assert same_program(result, quantized)


def test_progress_is_complete_and_in_order() -> None:
    calls: list[tuple[str, int, int]] = []
    fullint.quantize(
        model("vit"),
        CalibrationSet(images(11), preprocessing(), batch_size=4),
        recipe="fq-vit",
        preprocessing=preprocessing(),
        progress=lambda step, done, total: calls.append((step, done, total)),
    )
    assert list(dict.fromkeys(step for step, _, _ in calls)) == ["capture", "calibrate", "lower"]
    for step in ("capture", "calibrate", "lower"):
        done = [done for name, done, _ in calls if name == step]
        totals = {total for name, _, total in calls if name == step}
        assert done == sorted(done)
        assert len(totals) == 1 and done[-1] == totals.pop()
    calibration = [done for name, done, _ in calls if name == "calibrate"]
    assert calibration[:3] == [4, 8, 11]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (images(3), "3 calibration images are too few"),
        (images(9).astype(np.float32), "expected uint8 pixels"),
        (images(9, 28), "expected uint8 pixels"),
    ],
)
def test_wrong_images(wrong: np.ndarray, message: str) -> None:
    with pytest.raises(FullintError, match=message):
        fullint.quantize(model("vit"), wrong, preprocessing=preprocessing())


def test_calibration_prepared_for_another_model() -> None:
    other = CalibrationSet(images(9), replace(preprocessing(), mean=(0.5, 0.5, 0.5)))
    with pytest.raises(FullintError, match="prepared otherwise than the model's"):
        fullint.quantize(model("vit"), other, preprocessing=preprocessing())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(bad: float) -> None:
    module = vit()
    with torch.no_grad():
        module.blocks[1].mlp.fc1.weight[3, 4] = bad
    with pytest.raises(FullintError, match=r"blocks\.1\.mlp\.fc1\.weight contains NaN or infinity"):
        fullint.quantize(module, images(8), preprocessing=preprocessing())


def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    """NumPy's part is traced; torch's is bounded by its batches (see the observers' tests)."""
    folder = folder_of(images(16), tmp_path / "few")
    many = folder_of(np.tile(images(16), (6, 1, 1, 1)), tmp_path / "many")
    peaks = []
    for path in (folder, folder, many):  # the first run imports
        tracemalloc.start()
        fullint.quantize(model("vit"), path, recipe="fq-vit", preprocessing=preprocessing())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] * 1.3 + 2**19
