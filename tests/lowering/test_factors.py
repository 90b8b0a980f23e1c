"""Requantization factors against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer.fixed_point import requantize
from fullint.lowering.factors import Factors, exact_factors, fast_factors, first_disagreement

FACTORS = st.floats(1e-9, 8.0, allow_subnormal=False)


def applied(factors: Factors, values: np.ndarray) -> np.ndarray:
    return requantize(
        np.asarray(values, dtype=np.int64),
        factors.pre_shift,
        factors.multiplier,
        factors.shift,
        intermediate_bits=factors.intermediate_bits,
    )


def rounded_half_up(number: Fraction) -> int:
    return math.floor(number + Fraction(1, 2))


@given(
    FACTORS,
    st.integers(1, 2**31 - 2**18),
    st.sampled_from([127, 128, 255, 32768, 65535]),
    st.lists(st.floats(-1, 1), min_size=1, max_size=20),
)
@settings(max_examples=300)
def test_fast_factors_keep_their_documented_bound(
    factor: float, largest_input: int, largest_output: int, positions: list[float]
) -> None:
    factors = fast_factors(
        np.array(factor), largest_input=largest_input, largest_output=largest_output
    )
    # Both the whole range and the part of it where the output does not saturate.
    reach = min(largest_input, math.ceil((largest_output + 1) / factor))
    values = [round(position * bound) for position in positions for bound in (largest_input, reach)]
    bound = Fraction(1, 2) + Fraction(largest_output + 1, 2**14)
    for value, got in zip(values, applied(factors, np.array(values)).tolist(), strict=True):
        exact = Fraction(factor) * value
        clipped = max(min(exact, largest_output), -largest_output)
        assert abs(max(min(got, largest_output), -largest_output) - clipped) <= bound
        assert abs(got) < 2**31


@given(FACTORS, st.integers(1, 2**31 - 2**18))
def test_fast_factors_fit_the_operation(factor: float, largest_input: int) -> None:
    factors = fast_factors(np.array([factor]), largest_input=largest_input, largest_output=255)
    assert factors.intermediate_bits == 16
    assert 0 <= factors.pre_shift[0] <= 31
    assert 0 <= factors.multiplier[0] < 2**15
    assert 0 <= factors.shift[0] <= 30


@given(st.integers(-20, 3), st.integers(1, 1000))
def test_fast_factors_of_powers_of_two_are_exact(exponent: int, largest_input: int) -> None:
    factors = fast_factors(
        np.array(2.0**exponent), largest_input=largest_input, largest_output=2**14
    )
    for value in (-largest_input, -largest_input // 2, 0, 1, largest_input):
        exact = rounded_half_up(Fraction(2) ** exponent * value)
        assert int(applied(factors, np.array(value))) == exact


@pytest.mark.parametrize("factor", [1.0 - 2**-40, 1.0 - 2**-17, 2.0**-14 * (1 - 2**-20)])
def test_fast_factors_just_below_a_power_of_two(factor: float) -> None:
    factors = fast_factors(np.array(factor), largest_input=2**20, largest_output=255)
    assert int(factors.multiplier) < 2**15
    value = min(2**20, int(200 / factor))
    assert abs(int(applied(factors, np.array(value))) - factor * value) <= 0.5 + 2**-6


def test_fast_factors_of_nothing_give_nothing() -> None:
    factors = fast_factors(np.array([0.0, 1e-30]), largest_input=2**30, largest_output=255)
    assert applied(factors, np.array([2**30, -(2**30)])).tolist() == [0, 0]


@pytest.mark.parametrize("factor", [2.0**15, 1e9])
def test_too_large_a_factor_is_refused(factor: float) -> None:
    with pytest.raises(FullintError, match="too large to requantize"):
        fast_factors(np.array(factor), largest_input=100, largest_output=255)
    with pytest.raises(FullintError, match="too large to requantize"):
        exact_factors(np.array(1e12), low=-128, high=127, largest_input=100)


@given(
    st.floats(1e-5, 2.0),
    st.sampled_from([(-128, 127), (0, 255), (-100, 155), (-8, 7)]),
    st.integers(1, 20_000),
)
@settings(max_examples=60)
def test_exact_factors_agree_for_every_accumulator(
    factor: float, codes: tuple[int, int], largest_input: int
) -> None:
    low, high = codes
    factors = exact_factors(np.array(factor), low=low, high=high, largest_input=largest_input)
    values = np.arange(-largest_input, largest_input + 1)
    got = np.clip(applied(factors, values), low, high)
    numerator, denominator = Fraction(factor).as_integer_ratio()
    # floor(v f + 1/2) in Python's integers, all values at once.
    exact = (2 * values.astype(object) * numerator + denominator) // (2 * denominator)
    assert np.array_equal(got, np.clip(exact.astype(np.int64), low, high))


@given(FACTORS, st.integers(2**20, 2**31 - 1))
@settings(max_examples=60)
def test_exact_factors_are_proven_for_large_accumulators(factor: float, largest: int) -> None:
    factors = exact_factors(np.array(factor), low=-128, high=127, largest_input=largest)
    assert int(factors.multiplier) < 2**31 and 0 <= int(factors.shift) <= 62
    assert factors.intermediate_bits == 32 and int(factors.pre_shift) == 0
    exact = Fraction(factor)
    # Around each threshold, where alone they could differ, within range.
    for code in range(-127, 128):
        threshold = math.ceil((code - Fraction(1, 2)) / exact)
        for value in (threshold - 1, threshold):
            if abs(value) <= largest:
                got = int(applied(factors, np.array(value)))
                want = rounded_half_up(exact * value)
                assert np.clip(got, -128, 127) == np.clip(want, -128, 127)


@given(FACTORS, st.integers(0, 24), st.integers(1, 5000))
@settings(max_examples=200)
def test_first_disagreement_is_what_brute_force_finds(
    factor: float, shift: int, largest_input: int
) -> None:
    multiplier = round(factor * 2**shift)
    assume(multiplier > 0)
    found = first_disagreement(
        Fraction(factor), multiplier, shift, low=-20, high=20, largest_input=largest_input
    )
    values = np.arange(-largest_input, largest_input + 1)
    numerator, denominator = Fraction(factor).as_integer_ratio()
    exact = (2 * values.astype(object) * numerator + denominator) // (2 * denominator)
    half = (1 << shift) >> 1
    got = (values.astype(object) * multiplier + half) >> shift
    exact, got = (np.clip(a.astype(object), -20, 20).astype(np.int64) for a in (exact, got))
    assert (found is None) == np.array_equal(exact, got)


def test_first_disagreement_finds_a_planted_one() -> None:
    factor, shift = Fraction(1, 3), 20
    good = exact_factors(np.array(1 / 3), low=-128, high=127, largest_input=1000)
    assert (
        first_disagreement(
            Fraction(1 / 3),
            int(good.multiplier),
            int(good.shift),
            low=-128,
            high=127,
            largest_input=1000,
        )
        is None
    )
    planted = round(factor * 2**shift * Fraction(1005, 1000))
    code = first_disagreement(factor, planted, shift, low=-128, high=127, largest_input=1000)
    assert code is not None
    value = math.floor((code - Fraction(1, 2)) / factor)
    disagreeing = [
        v
        for v in range(value - 3, value + 4)
        if rounded_half_up(factor * v) != (v * planted + 2**19) >> shift
    ]
    assert disagreeing


def test_factors_keep_the_shape_of_their_argument() -> None:
    array = np.array([[[0.5, 0.25, 1e-3]]])
    for factors in (
        fast_factors(array, largest_input=1000, largest_output=255),
        exact_factors(array, low=0, high=255, largest_input=1000),
    ):
        for part in (factors.multiplier, factors.shift, factors.pre_shift):
            assert part.shape == (1, 1, 3)


def test_wide_outputs_take_the_nearest_multiplier() -> None:
    factors = exact_factors(np.array(0.3), low=-32768, high=32767, largest_input=2**20)
    values = np.arange(-100_000, 100_000, 7)
    exact = np.array([rounded_half_up(Fraction(0.3) * int(value)) for value in values])
    assert np.abs(applied(factors, values) - exact).max() <= 1
