"""Weight grids."""

from __future__ import annotations

import pytest
import torch

from fullint.quantization.grids import UniformGrid
from fullint.quantization.weights import weight_grid
from fullint.recipes.schema import UniformConfig


def config(**changes: object) -> UniformConfig:
    declared = {"symmetric": True, "strategy": "channel"} | changes
    return UniformConfig.model_validate(declared)


def weights(rows: int = 6, columns: int = 200) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(rows, columns, generator=generator)
    return normal * normal.abs() * torch.logspace(-2, 0, rows)[:, None]


def errors(grid: UniformGrid, weight: torch.Tensor) -> torch.Tensor:
    return (grid.fake_quantize(weight.double()) - weight.double()).square().sum(1)


@pytest.mark.parametrize("num_bits", [4, 5, 6, 7, 8])
def test_least_error_in_every_channel(num_bits: int) -> None:
    weight = weights()
    grid = weight_grid(weight, config(num_bits=num_bits, observer="mse"))
    assert grid.scale.shape == (6, 1)
    assert (grid.zero_point, grid.low, grid.high) == (
        0,
        -(2 ** (num_bits - 1)),
        2 ** (num_bits - 1) - 1,
    )
    widest = weight_grid(weight, config(num_bits=num_bits)).scale
    for factor in (1 - 0.02 * step for step in range(35)):
        shrunk = UniformGrid(widest * factor, 0, grid.low, grid.high)
        assert bool((errors(grid, weight) <= errors(shrunk, weight) * (1 + 1e-5) + 1e-12).all())


def test_four_bits_shrink_heavy_tails() -> None:
    weight = weights()
    whole = weight_grid(weight, config(num_bits=4))
    assert bool((weight_grid(weight, config(num_bits=4, observer="mse")).scale < whole.scale).all())


@pytest.mark.parametrize("observer", ["minmax", "mse", "ema", "percentile"])
def test_one_element_extremes_are_covered(observer: str) -> None:
    weight = torch.full((2, 50), 0.01)
    weight[0, 7], weight[1, 9] = 1.28, -1.28
    grid = weight_grid(weight, config(observer=observer))
    kept = grid.fake_quantize(weight)
    assert kept[0, 7].item() == pytest.approx(1.28, rel=0.03)
    assert kept[1, 9].item() == pytest.approx(-1.28, rel=0.03)


@pytest.mark.parametrize("observer", ["minmax", "mse"])
def test_zero_rows_stay_zero_with_a_usable_scale(observer: str) -> None:
    weight = weights()
    weight[2] = 0
    grid = weight_grid(weight, config(observer=observer))
    assert bool((grid.fake_quantize(weight)[2] == 0).all())
    assert grid.scale[2].item() >= grid.scale.max().item() * 2.0**-12


@pytest.mark.parametrize("strategy", ["tensor", "channel"])
def test_an_all_zero_weight(strategy: str) -> None:
    grid = weight_grid(torch.zeros(3, 5), config(strategy=strategy, observer="mse"))
    assert bool((grid.fake_quantize(torch.zeros(3, 5)) == 0).all())
    assert bool((grid.scale == 2.0**-10).all())


def test_one_scale_a_tensor() -> None:
    weight = weights()
    grid = weight_grid(weight, config(strategy="tensor"))
    assert grid.scale.shape == ()
    largest, smallest = weight.max().item(), weight.min().item()
    assert grid.scale.item() == pytest.approx(max(largest / 127, -smallest / 128))


def test_channels_do_not_depend_on_each_other() -> None:
    weight = weights()
    together = weight_grid(weight, config(num_bits=4, observer="mse")).scale
    for row in range(len(weight)):
        alone = weight_grid(weight[row : row + 1], config(num_bits=4, observer="mse")).scale
        assert together[row].item() == pytest.approx(alone.item())
