"""Small models with weights that use every part of them, and images for them."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from fullint.capture import capture
from fullint.capture.torchvision_compat import import_timm
from fullint.data import Preprocessing
from fullint.integer.interpreter import trace
from fullint.integer.program import IntegerProgram
from fullint.lowering import lower
from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.recipes import Recipe, find_recipe

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
CLASSES = 7


def preprocessing(size: int = 32) -> Preprocessing:
    """Of all models here."""
    return Preprocessing(size, size, 3, 1.0, "center", "bicubic", MEAN, STD)


def images(count: int = 12, size: int = 32, seed: int = 0) -> np.ndarray:
    """uint8 (count, size, size, 3): random blocks of colour with noise."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (count, 4, 4, 3)).repeat(-(-size // 4), 1)
    blocks = blocks.repeat(-(-size // 4), 2)[:, :size, :size]
    noise = random.integers(-30, 31, (count, size, size, 3))
    return np.clip(blocks + noise, 0, 255).astype(np.uint8)


def pixels(count: int = 12, size: int = 32, seed: int = 0) -> Tensor:
    """The same images as float tensor."""
    return torch.from_numpy(images(count, size, seed)).float()


def with_effect(model: nn.Module, seed: int = 1) -> nn.Module:
    """Every vector with noise, every matrix of a spread that keeps signals of size one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "token" in name or "pos_embed" in name or "table" in name:
                parameter.copy_(noise * 0.5)
            elif parameter.ndim > 1:
                parameter.copy_(noise / parameter[0].numel() ** 0.5)
            else:  # whatever the layer was made with: some biases start at random
                start = 0.0 if name.endswith("bias") else 1.0
                parameter.copy_(start + noise * 0.1)
    return model.eval()


def vit(**changes: Any) -> nn.Module:
    """A two-block ViT for 32 x 32 images; keyword arguments change it."""
    return with_effect(_timm().vision_transformer.VisionTransformer(**(_VIT | changes)))


def deit(**changes: Any) -> nn.Module:
    """The same, distilled: two tokens, two heads."""
    return with_effect(_timm().deit.VisionTransformerDistilled(**(_VIT | changes)))


def swin(**changes: Any) -> nn.Module:
    """A two-stage Swin for 32 x 32 images, its first stage with shifted windows."""
    arguments = {
        "img_size": 32,
        "patch_size": 4,
        "embed_dim": 16,
        "depths": (2, 2),
        "num_heads": (2, 4),
        "window_size": 4,
        "num_classes": CLASSES,
    }
    return with_effect(_timm().swin_transformer.SwinTransformer(**(arguments | changes)))


def padded_swin() -> nn.Module:
    """Three stages of 14, 7 and 4 tokens a side: windows of 4 and merging both need padding."""
    return swin(img_size=28, patch_size=2, depths=(2, 2, 1), num_heads=(1, 2, 4))


MODELS = {
    "vit": vit,
    "average pooled vit": lambda: vit(global_pool="avg", class_token=False),
    "deit3": lambda: vit(no_embed_class=True, init_values=1.0),
    "distilled deit": deit,
    "swin": swin,
    "padded swin": padded_swin,
}


def size_of(name: str) -> int:
    """Side of the images of one of MODELS."""
    return 28 if name == "padded swin" else 32


@cache
def model(name: str) -> nn.Module:
    """One of MODELS, made once; not to be changed."""
    return MODELS[name]()


def captured(module: nn.Module, size: int = 32) -> fx.GraphModule:
    """The normal form."""
    return capture(module, input_size=(3, size, size), mean=MEAN, std=STD)


@cache
def normal_form_of(name: str) -> fx.GraphModule:
    """One of MODELS captured, made once; not to be changed."""
    return captured(model(name), size_of(name))


def own_normal_form_of(name: str) -> fx.GraphModule:
    """The same, as a copy to be changed."""
    return copy.deepcopy(normal_form_of(name))


def calibrated(module: fx.GraphModule | str, recipe: str | Recipe) -> QuantizedGraph:
    """A quantized graph with all its grids, without the recipe's transforms.

    `module`: captured, or the name of one of MODELS.
    """
    chosen = find_recipe(recipe) if isinstance(recipe, str) else recipe
    graph_module = normal_form_of(module) if isinstance(module, str) else module
    size = next(iter(graph_module.graph.nodes)).meta["shape"][1]
    graph = QuantizedGraph(graph_module, chosen)
    graph.calibrate(CalibrationData(lambda: pixels(12, size).split(4), 12))
    return graph


@cache
def lowered(name: str, recipe: str) -> tuple[QuantizedGraph, IntegerProgram]:
    """One of MODELS under a recipe, calibrated and lowered, made once; not to be changed."""
    graph = calibrated(name, recipe)
    return graph, lower(graph)


def changed(recipe: str, **updates: Any) -> Recipe:
    """A recipe with some of its declarations replaced, validated anew."""
    return Recipe.model_validate(find_recipe(recipe).model_dump() | updates)


def with_roles(recipe: str, **roles: Any) -> Recipe:
    """A recipe with other grids for some roles (None: no grid)."""
    activations = {**find_recipe(recipe).activations, **roles}
    kept = {role: config for role, config in activations.items() if config is not None}
    return changed(recipe, activations=kept)


def float_logits(module: nn.Module, batch: np.ndarray) -> np.ndarray:
    """The model's own logits, from normalised pixels."""
    normalised = (torch.from_numpy(batch).float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    with torch.no_grad():
        return module(normalised.permute(0, 3, 1, 2)).numpy()


def traced(program: IntegerProgram, batch: np.ndarray) -> dict[str, np.ndarray]:
    """Every computed tensor of a program."""
    return dict(trace(program, batch))


def decibels(signal: np.ndarray, other: np.ndarray) -> float:
    """Signal to difference."""
    noise = float(((signal - other) ** 2).sum())
    return 200.0 if noise == 0 else float(10 * np.log10((signal**2).sum() / noise))


_VIT = {
    "img_size": 32,
    "patch_size": 8,
    "embed_dim": 32,
    "depth": 2,
    "num_heads": 2,
    "num_classes": CLASSES,
}


def _timm() -> Any:
    torch.set_num_threads(1)
    return import_timm().models
