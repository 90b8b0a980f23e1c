"""Weight grids."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from fullint.errors import FullintError
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


@pytest.mark.parametrize("num_bits", [3, 4, 7])
@pytest.mark.parametrize("observer", ["minmax", "mse", "percentile_list"])
def test_asymmetric_channels_store_int8(num_bits: int, observer: str) -> None:
    weight = weights() + torch.linspace(-1, 1, 6)[:, None]
    grid = weight_grid(weight, config(num_bits=num_bits, symmetric=False, observer=observer))
    assert grid.scale.shape == (6, 1)
    assert isinstance(grid.zero_point, torch.Tensor) and grid.zero_point.shape == (6, 1)
    integers = grid.integers(weight)
    assert torch.equal(integers, integers.round())
    assert integers.min() >= -128 and integers.max() <= 127
    assert bool((integers.amax(1) - integers.amin(1) < 2**num_bits).all())
    assert torch.equal(grid.fake_quantize(weight), integers * grid.scale.float())
    symmetric = weight_grid(weight, config(num_bits=num_bits, observer=observer))
    assert errors(grid, weight).sum() < errors(symmetric, weight).sum()


def test_an_asymmetric_channel_by_hand() -> None:
    weight = torch.tensor([[-1.0, 0.0, 2.0, 0.45], [0.25, 3.0, 1.1, 0.0]])
    grid = weight_grid(weight, config(num_bits=4, symmetric=False))
    assert grid.scale.flatten().tolist() == pytest.approx([0.2, 0.2])
    assert isinstance(grid.zero_point, torch.Tensor)
    assert grid.zero_point.flatten().tolist() == [5, 0]
    assert grid.quantize(weight).tolist() == [[0, 5, 15, 7], [1, 15, 6, 0]]
    assert grid.integers(weight).tolist() == [[-5, 0, 10, 2], [1, 15, 6, 0]]


def test_eight_bits_are_symmetric_in_int8() -> None:
    weight = weights() + 1
    declared = weight_grid(weight, config(symmetric=False))
    assert declared.zero_point == 0
    assert torch.equal(declared.scale, weight_grid(weight, config()).scale)


def test_percentile_list_takes_the_best_of_three_quantiles() -> None:
    weight = weights(4, 40_000)
    weight[0, 0] = 30.0
    grid = weight_grid(weight, config(num_bits=4, symmetric=False, observer="percentile_list"))
    for row in range(4):
        least = []
        for percentile in (0.999, 0.9999, 0.99999):
            low, high = (
                min(float(weight[row].quantile(1 - percentile)), 0.0),
                max(float(weight[row].quantile(percentile)), 0.0),
            )
            scale = (high - low) / 15
            zero = round(-low / scale)
            codes = (weight[row].double() / scale).round().add(zero).clamp(0, 15)
            least.append(float(((codes - zero) * scale - weight[row]).square().sum()))
        assert float(errors(grid, weight)[row]) == pytest.approx(min(least), rel=1e-3)


@pytest.mark.parametrize("blocks", [(1, 1), (2, 3), (3, 7), (6, 10)])
def test_blocks_are_chosen_apart(blocks: tuple[int, int]) -> None:
    weight = weights()
    declared = config(num_bits=4, strategy="block", blocks=blocks, observer="mse")
    grid = weight_grid(weight, declared)
    rows, columns = (
        [index * size // count for index in range(count + 1)]
        for size, count in zip(weight.shape, blocks, strict=True)
    )
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            block = weight[top:bottom, left:right]
            alone = weight_grid(block, config(num_bits=4, strategy="tensor", observer="mse"))
            scales = grid.scale[top:bottom, left:right].unique()
            assert scales.tolist() == pytest.approx([alone.scale.item()])


def test_more_blocks_than_elements_are_one_each() -> None:
    weight = weights(rows=3, columns=5)
    few, many = (
        weight_grid(weight, config(strategy="block", blocks=blocks)) for blocks in ((3, 5), (8, 99))
    )
    assert torch.equal(few.scale, many.scale)


def test_other_strategies_are_refused() -> None:
    with pytest.raises(FullintError, match="no grids a head"):
        weight_grid(weights(), config(strategy="head"))


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
