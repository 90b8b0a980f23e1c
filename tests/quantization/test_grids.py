"""Grids against arithmetic by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fullint.quantization.grids import Log2Grid, RowRelativeGrid, UniformGrid, uniform_grid

ENDS = st.floats(-1e4, 1e4, width=32)


def grid_over(low: float, high: float, num_bits: int, symmetric: bool) -> UniformGrid:
    return uniform_grid(
        torch.tensor(low), torch.tensor(high), num_bits=num_bits, symmetric=symmetric
    )


@given(ENDS, ENDS, st.integers(2, 16), st.booleans())
def test_range_contains_zero_exactly_and_codes_are_encodable(
    first: float, second: float, num_bits: int, symmetric: bool
) -> None:
    grid = grid_over(min(first, second), max(first, second), num_bits, symmetric)
    assert grid.high - grid.low + 1 <= 2**num_bits
    assert grid.low <= grid.zero_point <= grid.high
    assert grid.fake_quantize(torch.zeros(1)).item() == 0
    assert float(grid.scale) > 0 and math.isfinite(float(grid.scale))


@given(ENDS, ENDS, st.integers(2, 12), st.booleans(), st.lists(st.floats(0, 1), min_size=1))
def test_round_trip_inside_the_range_is_within_half_a_step(
    first: float, second: float, num_bits: int, symmetric: bool, positions: list[float]
) -> None:
    low, high = min(first, second), max(first, second)
    grid = grid_over(low, high, num_bits, symmetric)
    values = low + (high - low) * torch.tensor(positions, dtype=torch.float64)
    error = (grid.fake_quantize(values) - values).abs().max().item()
    # The zero point is rounded, so that the two ends of an asymmetric range may stick out by half a
    # step more.
    allowance = 0.5 if symmetric else 1.0
    assert error <= allowance * float(grid.scale) * (1 + 1e-9) + 1e-12


@given(ENDS, ENDS, st.integers(2, 12), st.booleans())
def test_codes_saturate_and_dequantize_to_the_grid(
    first: float, second: float, num_bits: int, symmetric: bool
) -> None:
    grid = grid_over(min(first, second), max(first, second), num_bits, symmetric)
    codes = grid.quantize(torch.tensor([-1e9, 1e9], dtype=torch.float64))
    assert codes.tolist() == [grid.low, grid.high]
    every = torch.arange(grid.low, grid.high + 1, dtype=torch.float64)
    assert torch.equal(grid.quantize(grid.dequantize(every)), every)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("constant", [0.0, 3.5, -3.5, 1e-30])
def test_a_constant_is_kept(constant: float, symmetric: bool) -> None:
    grid = grid_over(constant, constant, 8, symmetric)
    kept = float(grid.fake_quantize(torch.tensor(constant)))
    assert abs(kept - constant) <= float(grid.scale) / 2


@pytest.mark.parametrize(("low", "high", "zero_point"), [(0.0, 2.0, 0), (-2.0, 0.0, 255)])
def test_one_sided_ranges_waste_no_code(low: float, high: float, zero_point: int) -> None:
    grid = grid_over(low, high, 8, False)
    assert grid.zero_point == zero_point
    assert float(grid.scale) == pytest.approx(2 / 255)
    assert grid_over(0.5, 2.0, 8, False) == grid_over(0.0, 2.0, 8, False)


def test_all_zero_takes_a_scale_that_biases_can_live_with() -> None:
    assert float(grid_over(0.0, 0.0, 8, True).scale) == 2.0**-10
    scales = uniform_grid(torch.zeros(3), torch.zeros(3), num_bits=8, symmetric=True).scale
    assert scales.tolist() == [2.0**-10] * 3


def test_a_dead_group_does_not_get_steps_of_nothing() -> None:
    low, high = torch.tensor([-1.0, 0.0, -1e-20]), torch.tensor([1.0, 0.0, 1e-20])
    scales = uniform_grid(low, high, num_bits=8, symmetric=True).scale
    assert float(scales[0]) == pytest.approx(1 / 127)
    assert scales[1:].tolist() == pytest.approx([2.0**-12 / 127] * 2)


def test_symmetric_groups_are_independent() -> None:
    low, high = torch.tensor([-1.28, -0.1]), torch.tensor([0.5, 1.27])
    grid = uniform_grid(low, high, num_bits=8, symmetric=True)
    assert grid.scale.tolist() == pytest.approx([0.01, 0.01])


@given(st.integers(0, 1023), st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_log2_grid_rounds_in_the_exponent(rounding: int, weights: list[float]) -> None:
    got = Log2Grid(rounding).fake_quantize(torch.tensor(weights, dtype=torch.float64))
    for weight, value in zip(weights, got.tolist(), strict=True):
        exact = 40.0 if weight < 2**-40 else -math.log2(weight)
        assert value == 2.0 ** -min(max(math.floor(exact + rounding / 1024), 0), 15)


def test_log2_grid_has_exactly_sixteen_values() -> None:
    weights = torch.cat([torch.zeros(1), torch.logspace(-12, 0, 20001)])
    values = Log2Grid().fake_quantize(weights).unique()
    assert values.tolist() == [2.0**-code for code in range(15, -1, -1)]


@given(
    st.lists(st.lists(st.floats(-60, 60), min_size=5, max_size=5), min_size=1, max_size=4),
)
def test_row_relative_rows_sum_to_one(scores: list[list[float]]) -> None:
    weights = torch.softmax(torch.tensor(scores, dtype=torch.float64), dim=-1)
    values = RowRelativeGrid().fake_quantize(weights)
    assert torch.allclose(values.sum(-1), torch.ones(len(scores), dtype=torch.float64))
    # Codes are 0..255, the largest of a row 255.
    codes = values / values.amax(-1, keepdim=True) * 255
    assert torch.allclose(codes, codes.round(), atol=1e-9)
    # A code is at most half a share of the maximum off, before the division by the codes' sum.
    shares = weights / weights.amax(-1, keepdim=True)
    assert (codes / 255 - shares).abs().max() <= 0.5 / 255 + 1e-12
