"""What a search may change in a grid, and what it must keep."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fullint.quantization.grids import (
    Grid,
    LevelGrid,
    UniformGrid,
    adalog_activation_grid,
    adalog_grid,
    log_sqrt2_grid,
    shift_uniform_log2_grid,
    tangent_grid,
    twin_activation_grid,
    twin_grid,
    uniform_grid,
)
from fullint.quantization.search.distinct import DistinctValues
from fullint.quantization.search.level_families import level_family
from fullint.quantization.search.parameters import Parameters
from fullint.quantization.search.uniform_family import UniformFamily
from fullint.recipes.schema import (
    AdaLogConfig,
    Log2Config,
    LogSqrt2Config,
    QuantizerConfig,
    Role,
    ShiftUniformLog2Config,
    TangentConfig,
    TwinConfig,
)


def float64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_the_start_is_the_present_grid() -> None:
    present = uniform_grid(
        -float64(1, 2, 3)[:, None], float64(4, 1, 2)[:, None], num_bits=4, symmetric=False
    )
    family = UniformFamily(present, torch.arange(3)[:, None])
    again = family.grid(family.start)
    assert torch.equal(again.scale, present.scale)
    assert isinstance(again.zero_point, Tensor)
    assert isinstance(present.zero_point, Tensor)
    assert torch.equal(again.zero_point, present.zero_point)
    assert family.integer_range == (0, 15)


def test_entries_outside_the_groups_stay_and_ratios_inside_do() -> None:
    present = UniformGrid(float64(1, 2, 4, 8), 0, -8, 7)
    family = UniformFamily(present, torch.tensor([0, 0, -1, 1]))
    assert family.start.scale.tolist() == [1, 8]
    moved = family.grid(Parameters(float64(3, 5), float64(0, 0)))
    assert moved.scale.tolist() == [3, 6, 4, 5]
    assert family.integer_range == (0, 0)


def test_ranges_become_the_grids_that_calibration_makes() -> None:
    for symmetric in (True, False):
        low, high = float64(-1, -2), float64(3, 0.5)
        made = uniform_grid(low, high, num_bits=4, symmetric=symmetric)
        family = UniformFamily(made, torch.arange(2))
        parameters = family.of_range(low, high)
        torch.testing.assert_close(family.grid(parameters).scale, made.scale)
        torch.testing.assert_close(
            torch.as_tensor(family.grid(parameters).zero_point), torch.as_tensor(made.zero_point)
        )


def test_neighbouring_integers_stay_in_range() -> None:
    family = UniformFamily(UniformGrid(float64(1, 1, 1), float64(0, 7, 15), 0, 15), torch.arange(3))
    near = torch.stack(family.integers_near(3)).T.tolist()
    assert near == [[0, 1, 2], [6, 7, 8], [13, 14, 15]]
    assert len(family.integers_near(99)) == 16


LEVELS: list[tuple[QuantizerConfig, Role, LevelGrid]] = [
    (AdaLogConfig(), "attention_map", adalog_grid(4, [23])),
    (AdaLogConfig(strategy="head"), "attention_map", adalog_grid(4, [12, 37, 90])),
    (AdaLogConfig(), "activation", adalog_activation_grid(4, 30, largest=3.7, shift=0.17)),
    (TwinConfig(num_bits=4), "attention_map", twin_grid(4, 3)),
    (TwinConfig(num_bits=4), "activation", twin_activation_grid(4, 5, positive_scale=0.3)),
    (LogSqrt2Config(), "attention_map", log_sqrt2_grid(4, 0.7)),
    (ShiftUniformLog2Config(), "attention_map", shift_uniform_log2_grid(4, 0.02, 0.9)),
    (TangentConfig(), "attention_map", tangent_grid(4, 0.2, 1.4)),
]


@pytest.mark.parametrize(("config", "role", "present"), LEVELS)
def test_levels_are_recognised(config: QuantizerConfig, role: Role, present: LevelGrid) -> None:
    family = level_family(config, role, present)
    assert family is not None
    again = family.grid(family.start)
    assert isinstance(again, LevelGrid)
    torch.testing.assert_close(again.thresholds, present.thresholds, rtol=1e-3, atol=3e-4)
    torch.testing.assert_close(
        again.levels * again.scale, present.levels * present.scale, rtol=1e-3, atol=2e-4
    )
    low, high = family.integer_range
    assert ((family.start.integer >= low) & (family.start.integer <= high)).all()


def test_fixed_grids_have_no_family() -> None:
    present: Grid = uniform_grid(torch.tensor(0.0), torch.tensor(1.0), num_bits=8, symmetric=False)
    assert level_family(Log2Config(), "attention_map", present) is None


@pytest.mark.parametrize("numerators", [[21], [12, 37, 90]])
def test_distinct_values_round_as_the_grid_does(numerators: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.softmax(4 * torch.randn(5, 3, 7, 40, generator=generator), dim=-1)
    grid = adalog_grid(4, numerators)
    got, exact = DistinctValues(values).fake_quantize(grid), grid.fake_quantize(values)
    wrong = got != exact
    assert wrong.float().mean() < 0.01
    thresholds = grid.thresholds.reshape(-1)
    distance = (values[wrong][:, None] / thresholds - 1).abs().amin(1)
    assert wrong.sum() == 0 or float(distance.max()) < 0.004


def test_distinct_values_know_signs() -> None:
    values = torch.linspace(-0.17, 3, 999)[:, None]
    grid = adalog_activation_grid(4, 25, largest=3.2, shift=0.17)
    difference = DistinctValues(values).fake_quantize(grid) - grid.fake_quantize(values)
    assert (difference != 0).float().mean() < 0.01
