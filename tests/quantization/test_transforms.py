"""Transforms change no output."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.steps import run_step
from fullint.recipes import find_recipe
from fullint.recipes.declaration import Declaration
from fullint.recipes.steps import (
    ChannelPermutationConfig,
    HeadRotationConfig,
    KeyValueCenteringConfig,
    LayerNormEqualizationConfig,
    LayerNormFoldingConfig,
    NoisyBiasConfig,
    QueryKeyValueEqualizationConfig,
    ScaleReparameterizationConfig,
    SmoothQuantConfig,
    StreamRotationConfig,
)

from ..small_models import MODELS, captured, normal_form_of, pixels, size_of, vit, with_effect

TRANSFORMS = [
    LayerNormEqualizationConfig(),
    LayerNormFoldingConfig(),
    ScaleReparameterizationConfig(),
    ScaleReparameterizationConfig(target="median", migration=0.2),
    ScaleReparameterizationConfig(dual_clipping=True),
    ScaleReparameterizationConfig(groups=3),
    SmoothQuantConfig(),
    SmoothQuantConfig(balance=0.7, centered=True),
    KeyValueCenteringConfig(),
    QueryKeyValueEqualizationConfig(),
    ChannelPermutationConfig(),
    NoisyBiasConfig(),
    StreamRotationConfig(),
    HeadRotationConfig(),
]


def transform(module: torch.fx.GraphModule, config: Declaration, batch: torch.Tensor) -> None:
    """Apply one transform, calibrated on a batch."""
    graph = QuantizedGraph(module, find_recipe("fq-vit"))
    run_step(graph, config, CalibrationData(lambda: batch.split(4), len(batch)))


def assert_same(before: torch.Tensor, after: torch.Tensor) -> None:
    assert torch.isfinite(after).all()
    assert (after - before).abs().max() <= 1e-4 * before.abs().max()


class SeparateProjections(torch.nn.Module):
    """One block whose queries, keys and values have layers of their own, with a mask, a key bias
    left out and a LayerNorm over the keys of every head.
    """

    def __init__(self) -> None:
        super().__init__()
        self.patches = torch.nn.Conv2d(3, 16, 8, 8)
        self.norm = torch.nn.LayerNorm(16)
        self.query, self.value, self.output = (torch.nn.Linear(16, 16) for _ in range(3))
        self.key = torch.nn.Linear(16, 16, bias=False)
        self.key_norm = torch.nn.LayerNorm(8)
        self.head = torch.nn.Linear(16, 5)
        self.register_buffer("mask", torch.ones(16, 16).tril() * 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(image).flatten(2).mT
        normalized = self.norm(tokens)
        query, key, value = (
            layer(normalized).unflatten(-1, (2, 8)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ self.key_norm(key).mT / 8**0.5 + self.mask
        attended = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        return self.head((tokens + self.output(attended)).mean(1))


@pytest.mark.parametrize("config", TRANSFORMS, ids=lambda config: config.type)
def test_logits_stay_with_separate_projections(config: Declaration) -> None:
    torch.manual_seed(0)
    module = captured(with_effect(SeparateProjections()))
    batch = pixels(8)
    with torch.no_grad():
        before = module(batch)
        transform(module, config, batch)
        assert_same(before, module(batch))


@pytest.mark.parametrize("config", TRANSFORMS, ids=lambda config: config.type)
@pytest.mark.parametrize("name", MODELS)
def test_logits_stay(name: str, config: Declaration) -> None:
    module = deepcopy(normal_form_of(name))
    batch = pixels(8, size_of(name))
    with torch.no_grad():
        other = pixels(4, size_of(name), seed=9)
        before, elsewhere = module(batch), module(other)
        transform(module, config, batch)
        assert_same(before, module(batch))
        assert_same(elsewhere, module(other))


@pytest.mark.parametrize("config", TRANSFORMS, ids=lambda config: config.type)
def test_channels_that_are_a_point(config: Declaration) -> None:
    """A gain of zero, as DeiT-tiny has, and a channel that no weight reads."""
    module = vit()
    with torch.no_grad():
        module.blocks[0].norm2.weight[3] = 0
        module.blocks[0].norm1.weight.zero_()
        module.blocks[1].attn.qkv.weight[:, 5] = 0
    graph = captured(module)
    batch = pixels(6)
    with torch.no_grad():
        before = graph(batch)
        transform(graph, config, batch)
        assert_same(before, graph(batch))
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            assert torch.isfinite(getattr(graph, node.target)).all()


class SharedLayer(torch.nn.Module):
    """Two blocks with a LayerNorm each and one linear layer between them."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = torch.nn.Conv2d(3, 16, 8, 8)
        self.norms = torch.nn.ModuleList([torch.nn.LayerNorm(16), torch.nn.LayerNorm(16)])
        self.linear = torch.nn.Linear(16, 16)
        self.head = torch.nn.Linear(16, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        for norm in self.norms:
            tokens = tokens + self.linear(norm(tokens))
        return self.head(tokens.mean(1))


@pytest.mark.parametrize("config", TRANSFORMS, ids=lambda config: config.type)
def test_shared_layers_are_left_alone(config: Declaration) -> None:
    torch.manual_seed(0)
    module = SharedLayer()
    with torch.no_grad():
        for index, norm in enumerate(module.norms):
            norm.weight.copy_(torch.rand(16) * 4 ** (index + 1))
    graph = captured(module)
    batch = pixels(6)
    with torch.no_grad():
        before = graph(batch)
        transform(graph, config, batch)
        assert_same(before, graph(batch))
