"""Calibration in network order: grids from tensors that carry the rounding of all before."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, fx

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import GraphRunner, QuantizedGraph
from fullint.quantization.grids import UniformGrid, uniform_grid
from fullint.quantization.sequential_calibration import recalibrate_in_order
from fullint.recipes.schema import MATRIX_OPERANDS, Recipe

from ..small_models import calibrated, changed, pixels, size_of

MODELS = ["vit", "distilled deit", "padded swin"]


def data(model: str) -> CalibrationData:
    return CalibrationData(lambda: pixels(8, size_of(model)).split(3), 8)


def recipe() -> Recipe:
    return changed("minmax").with_bits("w4a4")


def values_before_rounding(graph: QuantizedGraph, model: str) -> dict[fx.Node, Tensor]:
    """What each node gives in the simulation of the whole, before its own grid."""
    found: dict[fx.Node, Tensor] = {}

    def hook(node: fx.Node, value: Tensor) -> Tensor:
        found[node] = value
        grid = graph.grids.get(node)
        return value if grid is None else grid.fake_quantize(value)

    with torch.no_grad():
        GraphRunner(graph.module, hook).run(pixels(8, size_of(model)))
    return found


@pytest.mark.parametrize("model", MODELS)
def test_grids_are_those_of_the_simulated_tensors(model: str) -> None:
    graph = calibrated(model, recipe())
    before = dict(graph.grids)
    recalibrate_in_order(graph, data(model))
    compared = changed_grids = 0
    for node, value in values_before_rounding(graph, model).items():
        grid = graph.grids.get(node)
        role = graph.roles.get(node)
        if role not in MATRIX_OPERANDS:
            assert grid is before.get(node)
        elif role != "query_key_value":  # which has a grid an operand
            assert isinstance(grid, UniformGrid)
            expected = uniform_grid(value.min(), value.max(), num_bits=4, symmetric=False)
            assert torch.allclose(grid.scale, expected.scale, rtol=1e-4)
            assert grid.zero_point == expected.zero_point
            compared += 1
            changed_grids += not torch.equal(grid.scale, before[node].scale)  # type: ignore[union-attr]
    assert compared >= 8
    assert changed_grids >= 6


def test_grids_that_a_transform_has_fixed_stay() -> None:
    graph = calibrated("vit", recipe())
    node = next(node for node, role in graph.roles.items() if role == "normalized")
    graph.fixed_grids[node] = graph.grids[node] = UniformGrid(torch.tensor(0.5), 3, 0, 15)
    recalibrate_in_order(graph, data("vit"))
    assert graph.grids[node] is graph.fixed_grids[node]
