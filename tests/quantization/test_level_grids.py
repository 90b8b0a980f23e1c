"""Grids of levels against the papers' formulas, value by value."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fullint.quantization.grids import (
    LevelGrid,
    adalog_activation_grid,
    adalog_grid,
    log_sqrt2_grid,
    shift_uniform_log2_grid,
    tangent_grid,
    twin_activation_grid,
    twin_grid,
)
from fullint.quantization.grids.level import LARGEST_ACTIVATION_LEVEL, LARGEST_ATTENTION_LEVEL
from fullint.quantization.grids.twin import (
    largest_twin_activation_exponent,
    largest_twin_exponent,
)

BITS = st.integers(2, 8)
TWIN_BITS = st.integers(3, 8)
PROBABILITIES = st.one_of(
    st.floats(0, 1), st.floats(-25, 0).map(lambda exponent: 2.0**exponent), st.sampled_from([0, 1])
)
SHIFTS = st.sampled_from([0.001, 0.01, 0.03, 0.05, 0.2, 0.5, 1.0])


@st.composite
def attention_grids(draw: st.DrawFn) -> tuple[LevelGrid, int]:
    """Any grid of attention weights, and its bits."""
    bits = draw(TWIN_BITS)
    makers: list[Callable[[], LevelGrid]] = [
        lambda: log_sqrt2_grid(bits, draw(st.floats(2.0**-10, 1))),
        lambda: adalog_grid(bits, [draw(st.integers(2, 137))]),
        lambda: twin_grid(bits, draw(st.integers(0, largest_twin_exponent(bits)))),
        lambda: shift_uniform_log2_grid(bits, draw(SHIFTS), draw(st.floats(0.05, 1))),
        lambda: tangent_grid(bits, draw(st.floats(0, 0.5)), draw(st.floats(0.1, 1.5))),
    ]
    return draw(st.sampled_from(makers))(), bits


@st.composite
def activation_grids(draw: st.DrawFn) -> tuple[LevelGrid, int]:
    """Any grid of an activation's outputs, and its bits."""
    bits, largest = draw(TWIN_BITS), draw(st.floats(0.3, 50))
    if draw(st.booleans()):
        numerator = draw(st.integers(2, 137))
        return adalog_activation_grid(bits, numerator, largest=largest, shift=0.17), bits
    exponent = draw(st.integers(0, largest_twin_activation_exponent(bits)))
    scale = largest / (2 ** (bits - 1) - 1)
    return twin_activation_grid(bits, exponent, positive_scale=scale), bits


def of(grid: LevelGrid, *values: float) -> list[float]:
    """What values become."""
    return grid.fake_quantize(torch.tensor(values, dtype=torch.float64)).tolist()


@given(st.one_of(attention_grids(), activation_grids()), st.lists(st.floats(-1, 1), min_size=2))
def test_few_small_ascending_levels_and_monotone_rounding(
    made: tuple[LevelGrid, int], positions: list[float]
) -> None:
    grid, bits = made
    assert len(grid.levels) <= 2**bits
    assert len(grid.thresholds) == len(grid.levels) - 1
    assert grid.levels.dtype == torch.int64
    assert grid.levels.abs().max() <= LARGEST_ATTENTION_LEVEL
    for ascending in (grid.levels, grid.thresholds):
        assert bool((ascending.diff() >= 0).all())
    values = torch.tensor(sorted(positions), dtype=torch.float64) * 60
    integers = grid.integers(values)
    assert bool((integers.diff() >= 0).all())
    assert set(integers.long().tolist()) <= set(grid.levels.tolist())
    assert torch.equal(grid.fake_quantize(values), integers * grid.scale)


@given(activation_grids())
def test_activation_levels_leave_room_for_sums(made: tuple[LevelGrid, int]) -> None:
    grid, _ = made
    span = int(grid.levels[-1] - grid.levels[0])
    assert span <= 2 * LARGEST_ACTIVATION_LEVEL


@given(attention_grids())
def test_thresholds_lie_between_their_levels(made: tuple[LevelGrid, int]) -> None:
    grid, _ = made
    reals = grid.levels * grid.scale
    # Equal neighbours, and levels rounded to integers, may leave a threshold outside.
    distinct = grid.levels.diff() > 1
    step = float(grid.scale)
    if not bool((reals < 0).any()):  # SULQ rounds powers, not values
        assert bool((grid.thresholds >= reals[:-1] - step)[distinct].all())
        if grid.levels[-1] != grid.levels[-2]:
            assert float(grid.thresholds[-1]) <= float(reals[-1]) + step


@given(BITS, st.floats(0.01, 1), PROBABILITIES)
def test_log_sqrt2_rounds_in_the_exponent(bits: int, largest: float, weight: float) -> None:
    grid = log_sqrt2_grid(bits, largest)
    (got,) = of(grid, weight)
    if weight < 2.0**-40:
        assert got == 0
        return
    exponent = -2 * math.log2(weight / largest)
    if abs(exponent % 1 - 0.5) < 1e-9:
        return
    code = max(round(exponent), 0)
    last = 2**bits - 2
    if code > last:  # the nearer of the smallest power and zero
        code = last if 2 * weight > largest * 2 ** (-last / 2) else code
    expected = 0.0 if code > last else largest * 2 ** (-code / 2)
    assert abs(got - expected) <= 0.5 * largest / LARGEST_ATTENTION_LEVEL * (1 + 1e-9)


def adalog_by_the_paper(bits: int, numerator: int, relative: float) -> float:
    """Shift and table, for a value relative to the largest."""
    code = round(-37 / numerator * math.log2(max(relative, 1e-15)))
    if code >= 2**bits - 1:
        return 0.0
    code = max(code, 0)
    entries = 2 ** (bits + 1) - 2
    table = round(2 ** (-(code * numerator % 37) / 37) * entries) / entries
    return 2.0 ** -(code * numerator // 37) * table


@given(BITS, st.integers(2, 137), PROBABILITIES)
def test_adalog_is_a_shift_and_a_table(bits: int, numerator: int, weight: float) -> None:
    if weight > 1e-15 and abs(-37 / numerator * math.log2(weight) % 1 - 0.5) < 1e-9:
        return
    (got,) = of(adalog_grid(bits, [numerator]), weight)
    expected = adalog_by_the_paper(bits, numerator, weight)
    assert abs(got - expected) <= 0.5 / LARGEST_ATTENTION_LEVEL * (1 + 1e-9)


@given(st.integers(3, 8), st.integers(2, 137), st.floats(0.5, 20), st.floats(-0.2, 1.2))
def test_adalog_of_an_activation_is_shifted(
    bits: int, numerator: int, largest: float, position: float
) -> None:
    shift = 0.16997
    value = position * largest - shift
    relative = (value + shift) / largest
    if relative > 1e-15 and abs(-37 / numerator * math.log2(relative) % 1 - 0.5) < 1e-9:
        return
    grid = adalog_activation_grid(bits, numerator, largest=largest, shift=shift)
    (got,) = of(grid, value)
    expected = largest * adalog_by_the_paper(bits, numerator, relative) - shift
    # The level and the shift are both rounded.
    assert abs(got - expected) <= largest / LARGEST_ACTIVATION_LEVEL * (1 + 1e-6)


def test_adalog_contains_log2() -> None:
    grid = adalog_grid(4, [37])
    reals = (grid.levels * grid.scale).tolist()
    assert reals == [0.0, *(2.0**-code for code in range(14, -1, -1))]
    assert of(grid, 0.7, 0.75, 0.3, 2.0**-14, 2.0**-14.6, 0.0) == [0.5, 1, 0.25, 2.0**-14, 0, 0]


def test_adalog_contains_log_sqrt2() -> None:
    adaptive, fixed = adalog_grid(4, [18.5]), log_sqrt2_grid(4, 1.0)
    # But for what is below the smallest power.
    torch.testing.assert_close(adaptive.thresholds[1:], fixed.thresholds[1:])
    reals = [grid.levels * grid.scale for grid in (adaptive, fixed)]
    # Alike but for the table's steps of 1/30.
    assert bool(((reals[0] - reals[1]).abs() <= reals[1] / 0.7 / 60 + 2.0**-14).all())


def test_twin_codes_by_hand() -> None:
    grid = twin_grid(3, 2)  # steps of 1/12 from 0 to 3/12, of 1/3 from 0 to 1
    assert grid.levels.tolist() == [0, 1, 2, 3, 4, 8, 12]
    twelfths = [12 * value for value in of(grid, 0, 0.03, 0.05, 0.1, 0.29, 0.3, 0.6, 0.9, 1)]
    assert twelfths == pytest.approx([0, 0, 1, 1, 3, 4, 8, 12, 12])


def test_twin_activation_codes_by_hand() -> None:
    grid = twin_activation_grid(3, 3, positive_scale=1.6)  # 0.2 below zero
    assert grid.levels.tolist() == [-4, -3, -2, -1, 0, 8, 16, 24]
    got = of(grid, -5, -0.8, -0.33, -0.1001, -0.09, 0.7, 0.9, 2.5, 5)
    assert got == pytest.approx([-0.8, -0.8, -0.4, -0.2, 0, 0, 1.6, 3.2, 4.8])


@given(TWIN_BITS, st.integers(0, 11), st.floats(-0.1, 1.1))
def test_twin_rounds_to_the_nearest_level(bits: int, exponent: int, weight: float) -> None:
    exponent = min(exponent, largest_twin_exponent(bits))
    for grid in (
        twin_grid(bits, exponent),
        twin_activation_grid(bits, min(exponent, 6), positive_scale=0.01),
    ):
        nearest = float((grid.levels * grid.scale - weight).abs().min())
        assert abs(of(grid, weight)[0] - weight) == pytest.approx(nearest, abs=1e-12)


@given(BITS, SHIFTS, st.floats(0.05, 1), PROBABILITIES)
def test_shift_uniform_log2_rounds_evenly_spaced_logarithms_to_powers(
    bits: int, shift: float, largest: float, weight: float
) -> None:
    low, high = math.log2(shift), math.log2(largest + shift)
    step = (high - low) / (2**bits - 1)
    code = (math.log2(weight + shift) - low) / step
    if abs(code % 1 - 0.5) < 1e-9:
        return
    logarithm = low + step * min(max(round(code), 0), 2**bits - 1)
    if abs(logarithm % 1 - 0.5) < 1e-9:
        return
    grid = shift_uniform_log2_grid(bits, shift, largest)
    expected = 2.0 ** round(logarithm) - shift
    assert abs(of(grid, weight)[0] - expected) <= 0.5 * float(grid.scale) * (1 + 1e-9)


def test_tangent_steps_are_finest_at_one_and_finer_at_zero_than_between() -> None:
    grid = tangent_grid(5, 0.4, 1.3)
    steps = (grid.levels * grid.scale).diff()
    widest = int(steps.argmax())
    assert 0 < widest < len(steps) - 1
    assert bool((steps[: widest + 1].diff() > 0).all())
    assert bool((steps[widest:].diff() < 0).all())
    assert steps[-1] < steps[0] < steps[widest]


@given(BITS, st.floats(0, 0.5), st.floats(0.1, 1.5), PROBABILITIES)
def test_tangent_rounds_the_tangent(bits: int, center: float, angle: float, weight: float) -> None:
    rate = angle / (1 - center)
    low, high = math.tan(-rate * center), math.tan(angle)
    code = (math.tan(rate * (weight - center)) - low) / (high - low) * (2**bits - 1)
    if abs(code % 1 - 0.5) < 1e-6:
        return
    tangent = low + round(code) * (high - low) / (2**bits - 1)
    expected = center + math.atan(tangent) / rate
    assert abs(of(tangent_grid(bits, center, angle), weight)[0] - expected) < 2.0**-14


@pytest.mark.parametrize("bits", [3, 4, 6, 8])
def test_zero_and_one_are_kept_by_grids_that_have_them(bits: int) -> None:
    for grid in (
        log_sqrt2_grid(bits, 1.0),
        adalog_grid(bits, [20]),
        twin_grid(bits, 3),
        tangent_grid(bits, 0.3, 1.2),
    ):
        assert of(grid, 0.0, 1.0) == [0.0, 1.0]
    assert of(twin_activation_grid(bits, 2, positive_scale=0.1), 0.0) == [0.0]


def test_heads_are_rounded_apart() -> None:
    weights = torch.softmax(torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)), -1)
    numerators = [12, 37, 80]
    together = adalog_grid(4, numerators).fake_quantize(weights)
    for head, numerator in enumerate(numerators):
        alone = adalog_grid(4, [numerator]).fake_quantize(weights[:, head])
        assert torch.equal(together[:, head], alone)
