"""Small models none of whose weights is without effect, and what every capture must satisfy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from fullint.capture import capture
from fullint.capture.normal_form import VOCABULARY, reshape
from fullint.capture.torchvision_compat import import_timm

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@pytest.fixture(scope="session")
def timm() -> Any:
    """The timm module."""
    return import_timm()


def _randomized(model: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=0.1)
    return model


@pytest.fixture(scope="session")
def vit(timm: Any) -> Callable[..., nn.Module]:
    """A two-block ViT for 32 x 32 images; keyword arguments change it."""

    def make(**changes: Any) -> nn.Module:
        arguments = {
            "img_size": 32,
            "patch_size": 8,
            "embed_dim": 32,
            "depth": 2,
            "num_heads": 2,
            "num_classes": 5,
        } | changes
        return _randomized(timm.models.vision_transformer.VisionTransformer(**arguments))

    return make


@pytest.fixture(scope="session")
def swin(timm: Any) -> Callable[..., nn.Module]:
    """A two-stage Swin for 32 x 32 images, its first stage with shifted windows."""

    def make(**changes: Any) -> nn.Module:
        arguments = {
            "img_size": 32,
            "patch_size": 4,
            "embed_dim": 16,
            "depths": (2, 2),
            "num_heads": (2, 4),
            "window_size": 4,
            "num_classes": 5,
        } | changes
        return _randomized(timm.models.swin_transformer.SwinTransformer(**arguments))

    return make


@pytest.fixture(scope="session")
def randomized() -> Callable[[nn.Module], nn.Module]:
    """Adds noise to every parameter, in place: many start as zeros or ones, which hide mistakes."""
    return _randomized


@pytest.fixture(scope="session")
def captured() -> Callable[..., fx.GraphModule]:
    """Captures a model for (height, width), checks the graph and its logits, and returns it."""

    def check(model: nn.Module, height: int = 32, width: int = 32) -> fx.GraphModule:
        graph_module = capture(model, input_size=(3, height, width), mean=MEAN, std=STD)
        _check_normal_form(graph_module)
        _check_shapes(graph_module)
        model.eval()
        for batch in (1, 2, 5):
            pixels = _pixels(batch, height, width)
            with torch.no_grad():
                expected = model(_normalised(pixels))
                expected = getattr(expected, "logits", expected)
                difference = (graph_module(pixels) - expected).abs().max()
            assert difference <= 1e-5 * expected.abs().max()
        return graph_module

    return check


def _pixels(batch: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch)
    return torch.randint(0, 256, (batch, height, width, 3), generator=generator).float()


def _normalised(pixels: Tensor) -> Tensor:
    return ((pixels / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2)


def _check_normal_form(graph_module: fx.GraphModule) -> None:
    for node in graph_module.graph.nodes:
        assert node.op in ("placeholder", "get_attr", "call_function", "output")
        assert not node.kwargs
        assert isinstance(node.meta["module_path"], str)
        if node.op == "call_function":
            assert node.target in VOCABULARY
        if node.target is reshape:
            assert node.args[1].count(-1) == 1
        if node.op == "get_attr":
            assert "." not in node.target
    inputs = [node for node in graph_module.graph.nodes if node.op == "placeholder"]
    assert [node.name for node in inputs] == ["pixels"]


def _check_shapes(graph_module: fx.GraphModule) -> None:
    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            assert tuple(result.shape) == n.meta["shape"], n.name
            return result

    (first, *_) = graph_module.graph.nodes
    Recorder(graph_module).run(torch.zeros(first.meta["shape"]))
