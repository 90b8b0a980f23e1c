"""Corrections of whole networks: what layers see, and what becomes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from fullint.capture import normal_form
from fullint.integer.interpreter import run
from fullint.lowering import lower
from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.correction import correct_layers
from fullint.quantization.correction.driver import evenly_chosen
from fullint.quantization.correction.layers import CORRECTIONS, LayerProblem
from fullint.quantization.graph import GraphRunner, QuantizedGraph
from fullint.quantization.roles import LAYOUT
from fullint.recipes import find_recipe
from fullint.recipes.steps import (
    ActivationRidgeConfig,
    BiasCorrectionConfig,
    GPTQConfig,
    LayerCorrectionConfig,
    WeightRidgeConfig,
)

from ...small_models import (
    MODELS,
    captured,
    decibels,
    normal_form_of,
    own_normal_form_of,
    pixels,
    size_of,
)

ROUNDING = [GPTQConfig(), GPTQConfig(inputs="quantized", range_search=True), WeightRidgeConfig()]
QUANTIZED = (ActivationRidgeConfig(inputs="quantized"), GPTQConfig(inputs="quantized"))


def data(size: int = 32, count: int = 24) -> CalibrationData:
    return CalibrationData(lambda: pixels(count, size).split(5), count)


def quantized(name: str = "vit", bits: str = "w4a8") -> QuantizedGraph:
    """A graph of its own, calibrated."""
    graph = QuantizedGraph(own_normal_form_of(name), find_recipe("default").with_bits(bits))
    graph.calibrate(data(size_of(name)))
    return graph


def weights(graph: QuantizedGraph) -> dict[str, Tensor]:
    """Every linear layer's weight, as it is now."""
    return {
        node.args[1].name: getattr(graph.module, node.args[1].target).detach().clone()
        for node in graph.module.graph.nodes
        if node.target is normal_form.linear
    }


@pytest.mark.parametrize("config", ROUNDING, ids=["gptq", "gptq searched", "weight ridge"])
@pytest.mark.parametrize("name", MODELS)
def test_the_program_holds_the_chosen_codes(name: str, config: LayerCorrectionConfig) -> None:
    graph = quantized(name)
    nearest = {
        node.name: graph.grids[node].fake_quantize(getattr(graph.module, node.target))
        for node in graph.grids
        if node.op == "get_attr"
    }
    correct_layers(graph, [config], data(size_of(name)))
    program, changed = lower(graph), 0
    for node in graph.module.graph.nodes:
        if node.target is normal_form.linear:
            weight, grid = getattr(graph.module, node.args[1].target), graph.grids[node.args[1]]
            codes = program.constants[f"{node.name}.weight"]
            on_grid = (torch.from_numpy(codes) * grid.scale).float()
            assert torch.equal(on_grid, weight)
            changed += not torch.equal(weight, nearest[node.args[1].name])
    assert changed > 3


@pytest.mark.parametrize("name", ["vit", "padded swin"])
@pytest.mark.parametrize(
    "configs",
    [
        [BiasCorrectionConfig()],
        [GPTQConfig(inputs="quantized"), BiasCorrectionConfig(inputs="quantized")],
        [ActivationRidgeConfig(strength=100), WeightRidgeConfig(strength=100)],
        QUANTIZED,
    ],
    ids=["bias", "gptq, bias", "erq", "ridge, gptq"],
)
def test_corrected_models_are_lowered(name: str, configs: list[LayerCorrectionConfig]) -> None:
    graph = quantized(name)
    correct_layers(graph, configs, data(size_of(name)))
    batch = pixels(4, size_of(name))
    program = lower(graph)
    with torch.no_grad():
        simulated = graph.simulate(batch).numpy()
    integer = run(program, batch.numpy().astype(np.uint8)) * program.logit_scale
    assert decibels(simulated, integer) > 15


@pytest.mark.parametrize("name", ["vit", "average pooled vit", "swin"])
def test_rounding_with_compensation_is_nearer_to_the_float_model(name: str) -> None:
    graph = quantized(name, "w3a8")
    batch = pixels(24, size_of(name), seed=3)
    with torch.no_grad():
        exact = normal_form_of(name)(batch).numpy()
        nearest = graph.simulate(batch).numpy()
        correct_layers(graph, QUANTIZED, data(size_of(name)))
        corrected = graph.simulate(batch).numpy()
    assert decibels(exact, corrected) > decibels(exact, nearest) + 1


class Watch(LayerCorrectionConfig):
    """Not of any recipe: looks at the layers."""


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[LayerProblem]:
    """Layers in the order of their correction; each weight is doubled."""
    seen: list[LayerProblem] = []

    def watch(layer: LayerProblem, config: Watch) -> None:
        seen.append(layer)
        layer.weight = layer.weight * 2

    monkeypatch.setitem(CORRECTIONS, Watch, watch)
    return seen


def layer_inputs(graph: QuantizedGraph, batch: Tensor, *, simulated: bool) -> list[Tensor]:
    """The inputs of every linear layer, in order, as rows."""
    values: dict[fx.Node, Tensor] = {}

    def keep(node: fx.Node, value: Tensor) -> Tensor:
        values[node] = value
        return value

    with torch.no_grad():
        if simulated:
            graph.simulate(batch, keep)
        else:
            GraphRunner(graph.module, keep).run(batch)
    return [
        values[node.args[0]].flatten(0, -2)
        for node in graph.module.graph.nodes
        if node.target is normal_form.linear
    ]


@pytest.mark.parametrize("name", ["vit", "padded swin"])
def test_layers_see_the_corrected_layers_before_them(
    name: str, watched: list[LayerProblem]
) -> None:
    graph = quantized(name)
    images = torch.cat(list(data(size_of(name)).batches()))
    exact = layer_inputs(graph, images, simulated=False)
    before = weights(graph)
    correct_layers(graph, [Watch(inputs="quantized")], data(size_of(name)))
    given = layer_inputs(graph, images, simulated=True)
    assert len(watched) == len(given)
    for layer, (original, rows) in zip(watched, zip(exact, given, strict=True), strict=True):
        extended = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1).double()
        assert_close(layer.moments.gram, extended.T @ extended)
        assert_close(layer.moments.error, extended.T @ (original - rows).double())
    for layer, weight in zip(watched, before.values(), strict=True):
        assert torch.equal(layer.reference_weight, weight.double())


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max()) + 1e-4


@pytest.mark.parametrize("name", ["vit", "swin"])
def test_layers_see_the_float_model_rounded_once(name: str, watched: list[LayerProblem]) -> None:
    graph = quantized(name, "w4a4")
    images = torch.cat(list(data(size_of(name)).batches()))
    exact = layer_inputs(graph, images, simulated=False)
    grids = [
        next(
            (graph.grids[node] for node in sources(linear.args[0]) if node in graph.grids),
            None,
        )
        for linear in graph.module.graph.nodes
        if linear.target is normal_form.linear
    ]
    correct_layers(graph, [Watch()], data(size_of(name)))
    for layer, rows, grid in zip(watched, exact, grids, strict=True):
        expected = rows if grid is None else grid.fake_quantize(rows)
        extended = torch.cat([expected, torch.ones_like(rows[:, :1])], dim=1).double()
        assert_close(layer.moments.gram, extended.T @ extended)
    assert sum(grid is not None for grid in grids) == len(grids) - 1  # not the pixels


def sources(node: fx.Node) -> list[fx.Node]:
    """A tensor and those that layout operations make it from."""
    found = [node]
    while node.target in LAYOUT:
        node = node.args[0]
        found.append(node)
    return found


def test_neighbours_with_the_same_inputs_go_together(watched: list[LayerProblem]) -> None:
    graph = quantized()
    reports: list[tuple[int, int]] = []
    images = CalibrationData(lambda: pixels(8).split(4), 8, lambda *done: reports.append(done))
    original = weights(graph)
    float_inputs, quantized_inputs = Watch(), Watch(inputs="quantized")
    correct_layers(graph, [float_inputs, float_inputs, quantized_inputs], images)
    count = len(original)
    assert reports == [(done, 2 * count) for done in range(1, 2 * count + 1)]
    assert [id(layer) for layer in watched[0 : 2 * count : 2]] == [
        id(layer) for layer in watched[1 : 2 * count : 2]
    ]
    # The second pass starts from the first one's weights, but still aims at the float model's.
    for layer, weight in zip(watched[2 * count :], original.values(), strict=True):
        assert torch.equal(layer.reference_weight, weight.double())
    for name, weight in weights(graph).items():
        assert torch.equal(weight, original[name] * 8)


def test_nothing_to_do_reads_no_images() -> None:
    def unread() -> list[Tensor]:
        raise AssertionError("read")

    correct_layers(quantized(), [], CalibrationData(unread, 8))


def test_results_repeat() -> None:
    first, second = quantized(), quantized()
    for graph in (first, second):
        correct_layers(graph, QUANTIZED, data())
    for name, weight in weights(first).items():
        assert torch.equal(weight, weights(second)[name])


@pytest.mark.parametrize(("images", "expected"), [(5, 5), (8, 8), (9, 8), (16, 8), (30, 8)])
def test_images_are_spread_evenly(images: int, expected: int) -> None:
    numbers = torch.arange(images).reshape(-1, 1, 1, 1).float()
    batches = evenly_chosen(CalibrationData(lambda: numbers.split(3), images), 8)
    chosen = torch.cat(batches).flatten()
    assert len(chosen) == expected
    steps = torch.diff(chosen)
    assert steps.min() >= 1 and steps.max() - steps.min() <= 1
    assert chosen[0] == 0 and chosen[-1] == images - 1


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_parts_hold_as_many_images_whatever_the_batches(
    batch: int, watched: list[LayerProblem]
) -> None:
    graph = quantized()
    correct_layers(graph, [Watch()], CalibrationData(lambda: pixels(24).split(batch), 24))
    for layer in watched:
        rows = [part.rows for part in layer.parts]
        assert rows == [sum(rows) / len(rows)] * len(rows)


class SharedLayer(nn.Module):
    """Two blocks with a LayerNorm each and one linear layer between them."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.norms = nn.ModuleList([nn.LayerNorm(16), nn.LayerNorm(16)])
        self.linear = nn.Linear(16, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        for norm in self.norms:
            tokens = tokens + self.linear(norm(tokens))
        return self.head(tokens.mean(1))


@pytest.mark.parametrize("inputs", ["float", "quantized"])
def test_a_layer_used_twice_is_corrected_once_with_all_its_inputs(
    inputs: str, watched: list[LayerProblem]
) -> None:
    torch.manual_seed(0)
    graph = QuantizedGraph(captured(SharedLayer()), find_recipe("default").with_bits("w4a8"))
    graph.calibrate(data())
    correct_layers(graph, [Watch(inputs=inputs)], data())
    assert [layer.moments.rows for layer in watched] == [24 * 16, 2 * 24 * 16, 24]
    assert all(layer.bias is not None for layer in watched)
