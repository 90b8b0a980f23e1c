"""Models of the transformers library, which return an object with logits."""

from __future__ import annotations

from typing import Any

import pytest

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
    "num_labels": 5,
}


@pytest.fixture(scope="module")
def transformers(timm: Any) -> Any:
    # transformers imports torchvision too, so timm's import comes first.
    return pytest.importorskip("transformers")


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_vit(transformers: Any, randomized: Any, captured: Any, attention: str) -> None:
    config = transformers.ViTConfig(**SIZES, attn_implementation=attention)
    captured(randomized(transformers.ViTForImageClassification(config)))


def test_swin(transformers: Any, randomized: Any, captured: Any) -> None:
    config = transformers.SwinConfig(
        image_size=32,
        patch_size=4,
        embed_dim=16,
        depths=[2, 1],
        num_heads=[2, 4],
        window_size=4,
        num_labels=5,
    )
    captured(randomized(transformers.SwinForImageClassification(config)))
