"""Rounding by halves: the refinement against every rounding there is, the rest by least squares."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from fullint.quantization.correction.weight_ridge import refined_rounding, round_by_halves
from fullint.quantization.grids import UniformGrid
from fullint.recipes.steps import WeightRidgeConfig

from .problems import error, inputs, on_grid, problem


def cost(change: torch.Tensor, moments: torch.Tensor) -> torch.Tensor:
    return ((change @ moments) * change).sum(1)


def case(seed: int, columns: int = 4) -> tuple[torch.Tensor, torch.Tensor, UniformGrid]:
    random = np.random.default_rng(seed)
    rows = inputs(60, columns, seed=seed)
    grid = UniformGrid(torch.full((3, 1), 0.5, dtype=torch.float64), 0, -4, 3)
    weight = torch.from_numpy(random.uniform(-1.9, 1.4, (3, columns)))
    return weight, torch.from_numpy(rows.T @ rows), grid


def test_refinement_lies_between_the_nearest_and_the_best() -> None:
    steps = torch.tensor(list(product((-1, 0, 1), repeat=4)), dtype=torch.float64) * 0.5
    improved = 0
    for seed in range(20):
        weight, moments, grid = case(seed)
        nearest = grid.fake_quantize(weight)
        refined = refined_rounding(weight, moments, grid, 100)
        assert torch.equal(grid.fake_quantize(refined), refined)
        assert float((refined - weight).abs().max()) < 0.5
        for row in range(3):
            costs = cost(nearest[row] + steps - weight[row], moments)
            found, plain = (
                float(cost(one[row : row + 1] - weight[row], moments)) for one in (refined, nearest)
            )
            assert float(costs.min()) - 1e-9 <= found <= plain
            improved += found < plain
    assert improved > 10


def test_one_refinement_by_hand() -> None:
    """Both weights 0.2 below their code and fully correlated: one of them goes up."""
    grid = UniformGrid(torch.tensor([[1.0]], dtype=torch.float64), 0, -4, 3)
    weight = torch.tensor([[0.45, 1.4]], dtype=torch.float64)
    moments = torch.tensor([[1.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    assert refined_rounding(weight, moments, grid, 0).tolist() == [[0.0, 1.0]]
    assert refined_rounding(weight, moments, grid, 1).tolist() == [[1.0, 1.0]]


def test_refinement_stays_on_the_grid_at_its_ends() -> None:
    grid = UniformGrid(torch.tensor([[1.0]], dtype=torch.float64), 0, -4, 3)
    weight = torch.tensor([[5.0, 5.0, -9.0]], dtype=torch.float64)
    moments = torch.ones(3, 3, dtype=torch.float64) + torch.eye(3)
    refined = refined_rounding(weight, moments, grid, 100)
    assert float(refined.min()) >= -4 and float(refined.max()) <= 3


@pytest.mark.parametrize("bias", [True, False])
def test_the_other_half_is_least_squares(bias: bool) -> None:
    """Of two channels the first is rounded, and the float second one follows from it."""
    exact = inputs(channels=2)
    layer = problem(exact, exact, bias=bias)
    weight, grid = layer.weight, layer.grid
    round_by_halves(layer, WeightRidgeConfig(strength=1e-9, refinements=0))
    first = grid.fake_quantize(weight)[:, 0]
    assert torch.equal(layer.weight[:, 0], first)
    rows = exact[:, 1:] if not bias else np.column_stack([exact[:, 1:], np.ones(len(exact))])
    target = np.outer(exact[:, 0], (weight[:, 0] - first).numpy())
    second = weight[:, 1].numpy() + np.linalg.lstsq(rows, target, rcond=None)[0][0]
    column = torch.from_numpy(np.column_stack([np.zeros_like(second), second]))
    assert torch.equal(layer.weight[:, 1], grid.fake_quantize(column)[:, 1])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels", [1, 7, 16])
def test_lower_error_than_nearest_and_on_the_grid(channels: int, bias: bool) -> None:
    exact = inputs(channels=channels)
    layer, nearest = (problem(exact, exact, bias=bias) for _ in range(2))
    round_by_halves(layer, WeightRidgeConfig(strength=1.0))
    nearest.weight = nearest.grid.fake_quantize(nearest.weight)
    assert on_grid(layer)
    squares = [(error(one, exact, exact) ** 2).sum() for one in (layer, nearest)]
    assert squares[0] <= squares[1] * (1.0 if channels == 1 else 0.95)


def test_no_inputs() -> None:
    layer = problem(np.zeros((40, 6)), np.zeros((40, 6)))
    nearest = layer.grid.fake_quantize(layer.weight)
    round_by_halves(layer, WeightRidgeConfig())
    assert torch.equal(layer.weight, nearest)
