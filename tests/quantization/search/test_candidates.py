"""Candidate generators against exhaustive search."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from fullint.quantization.grids import UniformGrid, uniform_grid
from fullint.quantization.search.candidates import GENERATORS, Best, Problem
from fullint.quantization.search.parameters import Parameters
from fullint.quantization.search.spaces import Quantiles
from fullint.quantization.search.uniform_family import UniformFamily
from fullint.recipes.steps import SearchConfig


def skewed(groups: int, count: int = 400) -> Tensor:
    """Values (groups, count) with a heavy upper tail, each group with another offset."""
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(groups, count, generator=generator)
    return values.exp() - torch.linspace(0.3, 2.0, groups)[:, None]


def problem(values: Tensor, symmetric: bool, *, first: bool = True, **options: Any) -> Problem:
    """The rows' squared errors on four bits."""
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    present = uniform_grid(low, high, num_bits=4, symmetric=symmetric)
    family = UniformFamily(present, torch.arange(len(values))[:, None])

    def errors(parameters: Parameters) -> Tensor:
        grid = family.grid(parameters)
        return (grid.fake_quantize(values) - values).square().sum(1).double()

    return Problem(family, errors, Quantiles([values]), SearchConfig(**options), first)


def error_of(values: Tensor, scale: float, zero_point: int, low: int, high: int) -> float:
    grid = UniformGrid(torch.tensor(scale, dtype=torch.float64), zero_point, low, high)
    return float((grid.fake_quantize(values) - values).square().sum())


@pytest.mark.parametrize("symmetric", [True, False])
def test_linear_is_the_best_of_all_factors(symmetric: bool) -> None:
    values = skewed(5)
    search = problem(values, symmetric, count=37, low=0.1, high=1.3)
    best = GENERATORS["linear"](search)
    start, present = search.family.start, search.family.grid(search.family.start)
    assert isinstance(present, UniformGrid)
    factors = [1.0, *(0.1 + 1.2 * step / 36 for step in range(37))]
    for row, (scale, zero_point) in enumerate(zip(start.scale, start.integer, strict=True)):
        errors = [
            error_of(values[row], float(scale) * f, int(zero_point), present.low, present.high)
            for f in factors
        ]
        assert float(best.error[row]) == pytest.approx(min(errors))
        factor = factors[errors.index(min(errors))]
        assert float(best.parameters.scale[row]) == pytest.approx(float(scale) * factor)
        assert best.parameters.integer[row] == zero_point


@pytest.mark.parametrize("symmetric", [True, False])
def test_percentile_is_the_best_of_the_list(symmetric: bool) -> None:
    values = skewed(4)
    best = GENERATORS["percentile"](problem(values, symmetric))
    shares = (0.97, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9997, 0.9999, 0.99995, 0.99999, 1.0)
    for row in range(4):
        errors = []
        for share in shares:
            low, high = (values[row].double().quantile(s) for s in (1 - share, share))
            grid = uniform_grid(low, high, num_bits=4, symmetric=symmetric)
            errors.append(float((grid.fake_quantize(values[row]) - values[row]).square().sum()))
        assert float(best.error[row]) == pytest.approx(min(errors))


@pytest.mark.parametrize("symmetric", [True, False])
def test_progressive_finds_the_optimum_to_within_its_resolution(symmetric: bool) -> None:
    values = skewed(3)
    best = GENERATORS["progressive"](problem(values, symmetric, count=128))
    low, high = (-8, 7) if symmetric else (0, 15)
    for row in range(3):
        largest = float(values[row].abs().max())
        scales = [largest * step / 8000 for step in range(100, 1200)]
        zero_points = [0] if symmetric else range(16)
        exhaustive = min(
            error_of(values[row], scale, zero_point, low, high)
            for scale, zero_point in product(scales, zero_points)
        )
        assert float(best.error[row]) <= exhaustive * 1.01


def test_progressive_moves_zero_points_that_linear_cannot() -> None:
    values = torch.linspace(-1, 3, 20000)[None]
    values[0, 0] = -6  # Pulls the range's zero point far up.
    linear, progressive = (
        GENERATORS[name](problem(values, False, count=128, low=0.05))
        for name in ("linear", "progressive")
    )
    assert linear.parameters.integer > progressive.parameters.integer
    assert float(progressive.error) < 0.9 * float(linear.error)


def test_later_rounds_look_around_the_present_grid() -> None:
    values = skewed(4)
    first = problem(values, False, count=128)
    present = first.family.start
    later = GENERATORS["progressive"](problem(values, False, first=False))
    assert (later.error < first.errors(present)).all()
    assert ((later.parameters.integer - present.integer).abs() <= 1).all()
    assert ((later.parameters.scale / present.scale - 1).abs() <= 0.12).all()


@pytest.mark.parametrize("name", list(GENERATORS))
@pytest.mark.parametrize("symmetric", [True, False])
def test_groups_are_independent_and_never_get_worse(name: str, symmetric: bool) -> None:
    values = skewed(4)
    together = problem(values, symmetric, count=20)
    best = GENERATORS[name](together)
    assert (best.error <= together.errors(together.family.start)).all()
    torch.testing.assert_close(together.errors(best.parameters), best.error)
    for row in range(4):
        alone = GENERATORS[name](problem(values[row : row + 1], symmetric, count=20))
        assert_same(best, alone, row)


def assert_same(best: Best, alone: Best, row: int) -> None:
    torch.testing.assert_close(best.parameters.scale[row], alone.parameters.scale[0])
    assert best.parameters.integer[row] == alone.parameters.integer[0]
    torch.testing.assert_close(best.error[row], alone.error[0])
