"""Tiny vision transformers, quantized on random pixels: the programs that recipes really give."""

from __future__ import annotations

import functools
import importlib.util

import numpy as np
import pytest

from fullint.integer.program import IntegerProgram

RECIPES = ["default", "fq-vit", "fq-vit-888"]
SIZE = 32


@functools.cache
def small_vision_transformer(recipe: str) -> IntegerProgram:
    """17 tokens, width 48, 3 heads, 2 blocks."""
    _import_timm()
    from timm.models.vision_transformer import VisionTransformer

    return _quantized(
        VisionTransformer(
            img_size=SIZE, patch_size=8, embed_dim=48, depth=2, num_heads=3, num_classes=10
        ),
        recipe,
    )


@functools.cache
def small_swin(recipe: str) -> IntegerProgram:
    """Two stages of shifted windows."""
    _import_timm()
    from timm.models.swin_transformer import SwinTransformer

    return _quantized(
        SwinTransformer(
            img_size=SIZE,
            patch_size=2,
            embed_dim=24,
            depths=(2, 2),
            num_heads=(2, 4),
            window_size=4,
            num_classes=10,
        ),
        recipe,
    )


def _import_timm() -> None:
    for package in ("torch", "timm"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: no models to quantize")
    from fullint.capture.torchvision_compat import import_timm

    import_timm()


def _quantized(model, recipe: str) -> IntegerProgram:
    import torch

    from fullint.capture import capture
    from fullint.lowering import lower
    from fullint.quantization.calibration_data import CalibrationData
    from fullint.quantization.graph import QuantizedGraph
    from fullint.recipes import find_recipe

    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (16, SIZE // 4, SIZE // 4, 3), dtype=np.uint8)
    images = torch.from_numpy(coarse.repeat(4, axis=1).repeat(4, axis=2)).float()
    graph = capture(model.eval(), input_size=(3, SIZE, SIZE), mean=(0.5,) * 3, std=(0.25,) * 3)
    quantized = QuantizedGraph(graph, find_recipe(recipe))
    quantized.calibrate(CalibrationData(lambda: iter([images]), len(images)))
    return lower(quantized)
