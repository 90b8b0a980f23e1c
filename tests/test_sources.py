"""Float models by name, and checkpoints of every condition."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fullint.capture.torchvision_compat import import_timm
from fullint.errors import FullintError
from fullint.sources import ModelSource, load_timm_model

from .small_models import MEAN, float_logits, images

TINY = {
    "img_size": 32,
    "patch_size": 8,
    "embed_dim": 16,
    "depth": 1,
    "num_heads": 2,
    "num_classes": 5,
}
NAME = "vit_tiny_patch16_224"


def tiny(checkpoint: Path | None = None, **changes: object) -> ModelSource:
    options = TINY | changes
    return load_timm_model(NAME, checkpoint, pretrained=False, **options)


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return import_timm().create_model(NAME, **TINY).state_dict()


@pytest.fixture
def checkpoint(weights: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_file(weights, path)
    return path


def test_random_weights_need_no_file() -> None:
    source = tiny()
    assert source.name == NAME and not source.model.training
    assert (source.checkpoint, source.checkpoint_sha256) == (None, None)
    assert (source.preprocessing.height, source.preprocessing.width) == (32, 32)
    assert source.class_ids is None and source.class_names is None


def test_checkpoint_is_loaded(checkpoint: Path, weights: dict[str, torch.Tensor]) -> None:
    source = tiny(checkpoint)
    assert source.checkpoint == checkpoint
    assert source.checkpoint_sha256 is not None and len(source.checkpoint_sha256) == 64
    for name, tensor in source.model.state_dict().items():
        assert torch.equal(tensor, weights[name])


@pytest.mark.parametrize("wrapped", [False, True])
def test_torch_files_are_loaded(
    wrapped: bool, tmp_path: Path, weights: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": weights} if wrapped else weights, path)
    assert torch.equal(tiny(path).model.head.weight, weights["head.weight"])


def test_logits_are_the_models_on_normalised_pixels(checkpoint: Path) -> None:
    source = tiny(checkpoint)
    assert source.preprocessing.mean == (0.5, 0.5, 0.5) != MEAN
    batch = images(3)
    normalised = (torch.from_numpy(batch).float() / 255 - 0.5) / 0.5
    with torch.no_grad():
        expected = source.model(normalised.permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(source.logits(batch), expected, atol=1e-6)
    assert not np.allclose(source.logits(batch), float_logits(source.model, batch))


def test_imagenet_classes_are_named() -> None:
    source = tiny(num_classes=1000)
    assert source.class_ids is not None and source.class_ids[0] == "n01440764"
    assert source.class_names is not None and len(source.class_names) == 1000


def test_the_crop_can_be_replaced() -> None:
    options = dict(TINY)
    source = load_timm_model(NAME, crop_pct=0.5, crop_mode="plain", pretrained=False, **options)
    assert (source.preprocessing.crop_pct, source.preprocessing.crop_mode) == (0.5, "plain")
    own = tiny().preprocessing
    assert (own.crop_pct, own.crop_mode) == (0.9, "center")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("deit_tiny_patch16_22", "did you mean .*deit_tiny_patch16_224"),
        ("vit_bse_patch16_224", "did you mean .*vit_base_patch16_224"),
        ("!!", r"timm\.list_models\(\) has the names"),
    ],
)
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(FullintError, match=f"unknown model '{name}'; {hint}"):
        load_timm_model(name)


def test_unknown_options_and_tags_are_one_sentence() -> None:
    with pytest.raises(FullintError, match=f"cannot create '{NAME}': .*nonsense"):
        load_timm_model(NAME, pretrained=False, nonsense=1)
    with pytest.raises(FullintError, match=f"cannot create '{NAME}.nothing': .*nothing"):
        load_timm_model(f"{NAME}.nothing", pretrained=True)


def test_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.safetensors", tmp_path):
        with pytest.raises(FullintError, match=r"checkpoint '.*' is not a file"):
            tiny(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("kept", [0, 7, 0.5, 0.99])
def test_truncated_checkpoints(
    suffix: str, kept: float, tmp_path: Path, weights: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept if kept > 1 else kept * len(data))])
    with pytest.raises(FullintError, match=r"checkpoint '.*' cannot be read: \S"):
        tiny(path)


class Harmful:
    def __reduce__(self) -> tuple:
        return (Path("harm").touch, ())


def test_pickled_code_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: dict[str, torch.Tensor]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": weights, "other": Harmful()}, tmp_path / "weights.pth")
    with pytest.raises(FullintError, match="cannot be read"):
        tiny(tmp_path / "weights.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(FullintError, match="cannot be read"):
        tiny(tmp_path / "raw.pth")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
def test_checkpoints_that_do_not_fit(
    change: str, tmp_path: Path, weights: dict[str, torch.Tensor]
) -> None:
    changed = dict(weights)
    if change == "missing":
        del changed["blocks.0.attn.qkv.bias"]
        reason = "blocks.0.attn.qkv.bias"
    elif change == "unexpected":
        changed["blocks.7.norm1.weight"] = torch.zeros(16)
        reason = "blocks.7.norm1.weight"
    else:
        changed["head.weight"] = torch.zeros(6, 16)
        reason = "head.weight"
    path = tmp_path / "weights.safetensors"
    save_file(changed, path)
    with pytest.raises(FullintError, match=f"does not fit '{NAME}': .*{reason}") as raised:
        tiny(path)
    assert "\n" not in str(raised.value)


def test_local_directories_pass_through(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    timm = import_timm()
    model = timm.create_model(NAME, **TINY)
    model.load_state_dict(weights)
    timm.models.save_for_hf(model, tmp_path / "saved", model_args=TINY)
    source = load_timm_model(f"local-dir:{tmp_path / 'saved'}")
    assert isinstance(source.model, nn.Module)
    assert torch.equal(source.model.head.weight, weights["head.weight"])
    with pytest.raises(FullintError, match="cannot create 'local-dir:"):
        load_timm_model(f"local-dir:{tmp_path / 'missing'}")


@pytest.mark.parametrize("name", ["hf-hub:nobody/nothing", "deit_tiny_patch16_224"])
def test_without_a_network_the_error_says_what_to_do(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", "/nonexistent")
    with pytest.raises(FullintError, match=f"cannot create '{name}': .*--checkpoint") as raised:
        load_timm_model(name)
    assert "\n" not in str(raised.value)
