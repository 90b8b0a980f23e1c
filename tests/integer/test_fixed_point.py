"""Fixed-point arithmetic against exact rationals, exhaustively where that is possible."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullint.integer import fixed_point

from .oracles import requantized, rounded

SMALL = np.arange(1, 1 << 18)
POWERS = np.array([2**k + d for k in range(1, 62) for d in (-1, 0, 1) if 1 <= 2**k + d <= 2**62])


def spread(high_bits: int) -> st.SearchStrategy[int]:
    """Integers of every length from 1 to high_bits, and 2^high_bits."""
    return st.integers(0, high_bits).flatmap(lambda bits: st.integers(2**bits // 2 or 1, 2**bits))


@given(st.integers(-(2**61), 2**61), st.integers(0, 61))
def test_shift_right_rounds_halves_up(value: int, shift: int) -> None:
    result = fixed_point.shift_right(np.array([value]), shift)
    assert result == rounded(Fraction(value, 2**shift))


def test_shift_right_by_an_array_of_shifts() -> None:
    values = np.array([[5, 6, -5], [-6, 7, 8]])
    expected = [[5, 3, -1], [-6, 4, 2]]
    assert fixed_point.shift_right(values, np.array([0, 1, 2])).tolist() == expected


@given(
    st.integers(-(2**31), 2**31 - 2**30 - 1),
    st.integers(0, 31),
    st.integers(0, 2**15 - 1),
    st.integers(0, 30),
)
def test_requantize_fast_form(value: int, pre_shift: int, multiplier: int, shift: int) -> None:
    result = int(
        fixed_point.requantize(
            np.array([value]),
            np.array([pre_shift]),
            np.array([multiplier]),
            np.array([shift]),
            intermediate_bits=16,
        )[0]
    )
    assert result == requantized(value, pre_shift, multiplier, shift, 16)
    factor = Fraction(multiplier, 2 ** (pre_shift + shift))
    bound = (1 + 2**pre_shift * factor) / 2 if pre_shift else Fraction(1, 2)
    if -(2**15) <= rounded(Fraction(value, 2**pre_shift)) < 2**15:
        assert abs(result - value * factor) <= bound
    else:  # saturated: towards zero, and as far out as a 16-bit intermediate goes
        assert abs(result) <= abs(value) * factor + bound
        assert abs(result) >= (2**15 - 1) * Fraction(multiplier, 2**shift) - Fraction(1, 2)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**31 - 1), st.integers(0, 62))
def test_requantize_exact_form_rounds_once(value: int, multiplier: int, shift: int) -> None:
    result = fixed_point.requantize(
        np.array([value]),
        np.array([0]),
        np.array([multiplier]),
        np.array([shift]),
        intermediate_bits=32,
    )
    assert result == rounded(Fraction(value * multiplier, 2**shift))
    assert result == requantized(value, 0, multiplier, shift, 32)


@pytest.mark.parametrize("bits", [16, 32])
def test_requantize_extremes(bits: int) -> None:
    limits = (31, 2**15 - 1, 30) if bits == 16 else (0, 2**31 - 1, 62)
    for value in (-(2**31), -1, 0, 1, 2**30 - 1):
        for pre_shift, multiplier, shift in ((0, 0, 0), (0, limits[1], 0), limits):
            result = fixed_point.requantize(
                np.array([value]),
                np.array([pre_shift]),
                np.array([multiplier]),
                np.array([shift]),
                intermediate_bits=bits,
            )
            assert result == requantized(value, pre_shift, multiplier, shift, bits)


def test_bit_length() -> None:
    values = np.concatenate([[0], SMALL[:5000], POWERS])
    assert fixed_point.bit_length(values).tolist() == [int(v).bit_length() for v in values]


def test_integer_square_root_small_and_around_squares() -> None:
    roots = np.concatenate([np.arange(1, 3000), 2**31 - np.arange(0, 3000), POWERS[POWERS < 2**31]])
    for values in (roots**2 - 1, roots**2, np.minimum(roots**2 + 1, 2**62)):
        expected = [math.isqrt(int(v)) for v in values]
        assert fixed_point.integer_square_root(values).tolist() == expected


@given(spread(62))
def test_integer_square_root(value: int) -> None:
    assert fixed_point.integer_square_root(np.array([value])) == math.isqrt(value)


def test_reciprocal_exhaustively_small() -> None:
    mantissa, exponent = fixed_point.reciprocal(SMALL)
    assert mantissa.min() >= 2**14 and mantissa.max() < 2**15
    # 1 - mantissa v / 2^exponent lies in [0, 2^-14): in integers, with nothing rounded.
    missing = (np.int64(1) << exponent) - mantissa * SMALL
    assert (missing >= 0).all() and (missing << 14 < np.int64(1) << exponent).all()


@given(spread(40))
def test_reciprocal(value: int) -> None:
    mantissa, exponent = (int(part[0]) for part in fixed_point.reciprocal(np.array([value])))
    assert 2**14 <= mantissa < 2**15
    product = Fraction(mantissa * value, 2**exponent)
    assert 1 - Fraction(1, 2**14) < product <= 1


def square_root_errors(values: np.ndarray) -> np.ndarray:
    """Relative errors of 1/sqrt(v), in numbers of 64 bits."""
    mantissa, exponent = fixed_point.reciprocal_square_root(values)
    assert mantissa.min() >= 2**14 and mantissa.max() < 2**15
    assert exponent.min() >= 15 and exponent.max() <= 46
    return (
        mantissa * np.sqrt(values.astype(np.longdouble)) / 2 ** exponent.astype(np.longdouble) - 1
    )


def test_reciprocal_square_root_exhaustively_small_and_around_powers() -> None:
    for values in (SMALL, POWERS, np.array([2**62])):
        errors = square_root_errors(values)
        assert errors.min() > -(2**-13.9) and errors.max() < 2**-30


@given(spread(62))
def test_reciprocal_square_root(value: int) -> None:
    mantissa, exponent = (
        int(part[0]) for part in fixed_point.reciprocal_square_root(np.array([value]))
    )
    assert 2**14 <= mantissa < 2**15
    squared = Fraction(mantissa**2 * value, 4**exponent)
    assert (1 - Fraction(1, 15286)) ** 2 < squared < (1 + Fraction(1, 2**30)) ** 2  # 2^13.9 = 15286


@pytest.mark.parametrize("amplitude", [1 << 15, 255 << 8])
def test_exp2_mantissa_exhaustively(amplitude: int) -> None:
    fraction = np.arange(1 << 16)
    result = fixed_point.exp2_mantissa(fraction, amplitude)
    exact = amplitude * np.exp2(-fraction / 2**16)
    assert (np.abs(result - exact) <= 0.0023 * exact + 2).all()
    assert result[0] == amplitude
    # Half the amplitude follows at the next whole distance: no upward step may lead there.
    assert result[-64] >= amplitude // 2


@pytest.mark.parametrize("amplitude", [1 << 15, 255 << 8])
def test_exp2_mantissa_fits_unsigned_16_bit_multiplications(amplitude: int) -> None:
    slope = round(amplitude * fixed_point.EXP2_SLOPE)
    curvature = round(amplitude * fixed_point.EXP2_CURVATURE)
    assert 0 < curvature < slope < 2**16
    fraction = np.arange(1 << 16)
    inner = slope - ((fraction * curvature) >> 16)
    assert inner.min() >= 0 and inner.max() < 2**16
    assert ((fraction * inner) >> 16).max() < amplitude


@given(spread(31).filter(lambda value: value < 2**31), st.integers(0, 12))
def test_log2_fixed(value: int, fraction_bits: int) -> None:
    result = int(fixed_point.log2_fixed(np.array([value]), fraction_bits)[0])
    # result <= log2(v) 2^f < result + 2, decided by exact powers.
    if fraction_bits <= 6:
        power = value ** (2**fraction_bits)
        assert 2**result <= power < 2 ** (result + 2)
    exact = math.log2(value) * 2**fraction_bits
    assert exact - 2 - 1e-6 < result <= exact + 1e-6


def test_log2_fixed_of_powers_of_two_is_exact() -> None:
    exponents = np.arange(31)
    assert (fixed_point.log2_fixed(np.int64(1) << exponents, 10) == exponents << 10).all()


def test_log2_fixed_is_the_floor_or_one_less_exhaustively() -> None:
    result = fixed_point.log2_fixed(SMALL, 10)
    floor = np.floor(np.log2(SMALL.astype(np.longdouble)) * 1024 + 1e-12).astype(np.int64)
    assert set(np.unique(floor - result).tolist()) <= {0, 1}


def test_fraction_bits_for_normalised() -> None:
    for channels in (*range(1, 5000), *(4**k + d for k in range(7, 14) for d in (-1, 0, 1))):
        bits = fixed_point.fraction_bits_for_normalised(channels)
        assert (channels - 1) * 4**bits < 4**14 or channels == 1  # sqrt(C - 1) 2^bits below 2^14
        assert channels == 1 or 4 ** (bits + 1) * channels > 4**14  # and no bit to spare
