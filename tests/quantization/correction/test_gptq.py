"""GPTQ against every rounding there is, and against its definition column by column."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from fullint.quantization.correction.gptq import (
    gptq,
    least_cost_range,
    round_with_compensation,
    rounding_cost,
)
from fullint.quantization.grids import UniformGrid
from fullint.recipes.steps import GPTQConfig

from .problems import error, inputs, on_grid, problem, rounded


def unit_grid(rows: int, low: int = -4, high: int = 3) -> UniformGrid:
    return UniformGrid(torch.ones(rows, 1, dtype=torch.float64), 0, low, high)


def random_case(rows: int, columns: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights within the codes -2..2, and a positive definite matrix."""
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(columns + 2, columns))
    return torch.from_numpy(random.uniform(-2, 2, (rows, columns))), torch.from_numpy(
        mixing.T @ mixing + 0.01 * np.eye(columns)
    )


def in_order(columns: int) -> torch.Tensor:
    return torch.arange(columns)


def by_definition(weight: np.ndarray, hessian: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Each column rounded after the float ones took their best values given those before."""
    result = weight.copy()
    for position, column in enumerate(order):
        done, rest = order[:position], order[position:]
        change = result[:, done] - weight[:, done]
        best = weight[:, rest]
        if position:
            inner = np.linalg.solve(hessian[np.ix_(rest, rest)], hessian[np.ix_(rest, done)])
            best = best - change @ inner.T
        result[:, column] = np.clip(np.round(best[:, 0]), -4, 3)
    return result


@pytest.mark.parametrize("correlation", [0.9, 0.5, -0.5, -0.9])
def test_two_columns(correlation: float) -> None:
    """With both 0.4 from a code, the second makes up for the first where they are correlated."""
    weight = torch.tensor([[0.4, 0.4], [1.6, 0.4]], dtype=torch.float64)
    hessian = torch.tensor([[1.0, correlation], [correlation, 1.0]], dtype=torch.float64)
    result = round_with_compensation(weight, hessian, unit_grid(2), in_order(2))
    for row in range(2):
        costs = {
            codes: float(rounding_cost(weight[row : row + 1], torch.tensor([codes]), hessian))
            for codes in product((-1.0, 0.0, 1.0, 2.0), repeat=2)
        }
        chosen = tuple(result[row].tolist())
        assert costs[chosen] == pytest.approx(min(costs.values()))


def test_between_the_best_rounding_and_the_nearest() -> None:
    total = dict.fromkeys(("nearest", "gptq", "best"), 0.0)
    codes = torch.tensor(list(product(range(-3, 4), repeat=4)), dtype=torch.float64)
    for seed in range(25):
        weight, hessian = random_case(1, 4, seed)
        grid = unit_grid(1, -3, 3)
        result = round_with_compensation(weight, hessian, grid, in_order(4))
        costs = [
            float(rounding_cost(weight, candidate, hessian))
            for candidate in (grid.fake_quantize(weight), result)
        ]
        best = float(rounding_cost(weight, codes, hessian).min())
        assert best <= costs[1] + 1e-12 and costs[1] <= costs[0]
        for name, cost in zip(total, (*costs, best), strict=True):
            total[name] += cost
    assert total["gptq"] < 0.75 * total["nearest"], total
    assert total["gptq"] < 2 * total["best"]


@pytest.mark.parametrize("columns", [5, 150])
def test_definition(columns: int) -> None:
    """150 columns are more than a block."""
    weight, hessian = random_case(3, columns, seed=columns)
    order = torch.randperm(columns, generator=torch.Generator().manual_seed(1))
    result = round_with_compensation(weight, hessian, unit_grid(3), order)
    expected = by_definition(weight.numpy(), hessian.numpy(), order.numpy())
    assert np.array_equal(result.numpy(), expected)


def test_independent_columns_are_rounded_to_the_nearest() -> None:
    weight, _ = random_case(4, 6, seed=1)
    result = round_with_compensation(
        weight, torch.diag(torch.arange(1.0, 7.0).double()), unit_grid(4), in_order(6)
    )
    assert torch.equal(result, weight.round())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("order", [True, False])
def test_lower_error_than_nearest_on_the_rows(order: bool, bias: bool) -> None:
    exact = inputs(channels=20)
    given = rounded(exact)
    layer, nearest = (problem(exact, exact, bias=bias) for _ in range(2))
    grid = layer.grid
    gptq(layer, GPTQConfig(activation_order=order, damping=1e-6))
    nearest.replace_weight(grid.fake_quantize(nearest.weight))
    assert layer.grid is grid and on_grid(layer)
    squares = [(error(one, exact, exact) ** 2).sum() for one in (layer, nearest)]
    assert squares[0] < 0.7 * squares[1]
    if bias:
        assert np.allclose(error(layer, exact, exact).mean(0), 0, atol=1e-9)
    assert not np.array_equal(exact, given)


@pytest.mark.parametrize("bias", [True, False])
def test_channels_without_inputs_are_rounded_to_the_nearest(bias: bool) -> None:
    exact = inputs()
    exact[:, 2] = 0
    layer = problem(exact, exact, bias=bias)
    nearest = layer.grid.fake_quantize(layer.weight)
    gptq(layer, GPTQConfig())
    assert torch.equal(layer.weight[:, 2], nearest[:, 2])
    dead = problem(np.zeros((40, 6)), np.zeros((40, 6)), bias=bias)
    gptq(dead, GPTQConfig())
    assert torch.equal(dead.weight, nearest)


@pytest.mark.parametrize("zero_point", [0, 2, "channel"])
@pytest.mark.parametrize("granularity", ["tensor", "channel", "block"])
def test_grids_of_any_granularity(granularity: str, zero_point: int | str) -> None:
    weight, hessian = random_case(4, 6, seed=7)
    shape = {"tensor": (), "channel": (4, 1), "block": (4, 6)}[granularity]
    generator = torch.Generator().manual_seed(2)
    scale = 0.4 + 0.2 * torch.rand(shape, generator=generator, dtype=torch.float64)
    points = torch.tensor([[-1], [0], [1], [2]]) if zero_point == "channel" else zero_point
    grid = UniformGrid(scale, points, -4, 3)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    result = round_with_compensation(weight, hessian, grid, order)
    assert torch.equal(grid.fake_quantize(result), result)
    chosen = least_cost_range(weight, hessian, grid, order)
    assert chosen.scale.shape == scale.shape and not torch.equal(chosen.scale, scale)
    costs = [
        rounding_cost(weight, round_with_compensation(weight, hessian, one, order), hessian)
        for one in (chosen, grid)
    ]
    if granularity == "tensor":
        assert costs[0].sum() <= costs[1].sum()
    else:
        assert bool((costs[0] <= costs[1]).all())


def test_range_search_changes_the_grid_for_less_error() -> None:
    exact = inputs(channels=20)
    searched, plain = (problem(exact, exact) for _ in range(2))
    gptq(searched, GPTQConfig(range_search=True))
    gptq(plain, GPTQConfig())
    assert on_grid(searched)
    assert (error(searched, exact, exact) ** 2).sum() < 0.9 * (
        error(plain, exact, exact) ** 2
    ).sum()
