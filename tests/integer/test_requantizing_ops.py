"""requantize, rescaled_add, add and lookup: arithmetic, proven ranges, refusals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullint.errors import FullintError

from .oracles import (
    assert_in_range,
    compute,
    constant,
    in_int32,
    infer,
    requantized,
    rounded,
    tensor,
)

int32 = st.integers(-(2**31), 2**31 - 1)


@st.composite
def ranges(draw: st.DrawFn, low: int = -(2**31), high: int = 2**31 - 1) -> tuple[int, int]:
    """A range of every order of magnitude, and its order right."""
    bits = draw(st.integers(1, 31))
    ends = [
        max(low, min(high, draw(st.integers(-(2**bits), 2**bits)))),
        max(low, min(high, draw(st.integers(-(2**bits), 2**bits)))),
    ]
    return min(ends), max(ends)


def samples(low: int, high: int, seed: int, size: int) -> np.ndarray:
    """Random values of a range, both ends among them."""
    values = np.random.default_rng(seed).integers(low, high, size, endpoint=True)
    values[:2] = low, high
    return values


class TestRequantize:
    @given(
        ranges(),
        st.sampled_from([16, 32]),
        st.integers(-(2**30), 2**30),
        ranges(),
        st.integers(0, 2**32),
    )
    def test_every_value_of_the_range_matches_and_fits(self, x_range, bits, zero, out, seed):
        rng = np.random.default_rng(seed)
        limits = (31, 2**15 - 1, 30) if bits == 16 else (0, 2**31 - 1, 62)
        pre_shift, multiplier, shift = (rng.integers(0, n, 3, endpoint=True) for n in limits)
        x = samples(*x_range, seed, 24).reshape(8, 1, 3)
        attributes = {
            "intermediate_bits": bits,
            "zero_point": zero,
            "low": out[0],
            "high": out[1],
        }
        try:
            type_ = infer(
                "requantize",
                tensor((1, 3), *x_range),
                constant(pre_shift),
                constant(multiplier),
                constant(shift),
                **attributes,
            )
        except FullintError:
            # Refused for one reason only: the rounding before the pre-shift overflows, or the zero
            # point takes the result out of int32.
            half = 2 ** int(pre_shift.max()) // 2
            assert x_range[1] + half >= 2**31 or (bits == 16 and abs(zero) >= 2**30)
            return
        result = compute("requantize", x, pre_shift, multiplier, shift, **attributes)
        assert_in_range(result, type_)
        for index in np.ndindex(x.shape):
            channel = index[-1]
            value = requantized(
                int(x[index]),
                int(pre_shift[channel]),
                int(multiplier[channel]),
                int(shift[channel]),
                bits,
            )
            value = in_int32(value + zero) if bits == 16 else value + zero
            assert result[index] == min(max(value, out[0]), out[1])

    @pytest.mark.parametrize(
        ("pre_shift", "multiplier", "shift", "bits"),
        [
            (32, 1, 1, 16),
            (-1, 1, 1, 16),
            (0, 2**15, 1, 16),
            (0, -1, 1, 16),
            (0, 1, 31, 16),
            (0, 1, -1, 16),
            (1, 1, 1, 32),
            (0, 2**31, 1, 32),
            (0, 1, 63, 32),
            (0, 1, 1, 24),
        ],
    )
    def test_refuses_bad_factors(self, pre_shift, multiplier, shift, bits):
        factors = (constant([pre_shift]), constant([multiplier]), constant([shift]))
        with pytest.raises(FullintError, match=r"must lie in|is 16 or 32"):
            infer(
                "requantize",
                tensor((1, 3), 0, 10),
                *factors,
                intermediate_bits=bits,
                zero_point=0,
                low=0,
                high=255,
            )

    def test_refuses_parameters_that_change_the_shape_or_are_computed(self):
        attributes = {"intermediate_bits": 16, "zero_point": 0, "low": 0, "high": 255}
        one = constant([1])
        for shape in ((1, 1, 3), (2, 3), (4,)):
            wrong = constant(np.ones(shape, int))
            with pytest.raises((FullintError, ValueError)):
                infer("requantize", tensor((1, 3), 0, 10), one, wrong, one, **attributes)
        with pytest.raises(FullintError, match="computed"):
            infer("requantize", tensor((1, 3), 0, 9), one, tensor((3,), 0, 9), one, **attributes)

    def test_refuses_overflow_and_empty_ranges(self):
        one = constant([1])
        attributes = {"intermediate_bits": 16, "zero_point": 0, "low": 0, "high": 255}
        with pytest.raises(FullintError, match="pre-shift"):
            infer("requantize", tensor((1,), 0, 2**31 - 1), one, one, one, **attributes)
        with pytest.raises(FullintError, match="zero point"):
            infer(
                "requantize",
                tensor((1,), 0, 1),
                one,
                one,
                one,
                **attributes | {"zero_point": 2**31},
            )
        with pytest.raises(FullintError, match="empty range"):
            infer("requantize", tensor((1,), 0, 1), one, one, one, **attributes | {"high": -1})
        with pytest.raises(FullintError, match="32-bit"):
            infer("requantize", tensor((1,), 0, 1), one, one, one, **attributes | {"high": 2**31})


PLAIN_ADD = {"zero_a": 0, "zero_b": 0, "zero_point": 0, "low": -128, "high": 127}


class TestRescaledAdd:
    @given(
        ranges(-(2**16), 2**16),
        ranges(-(2**16), 2**16),
        st.integers(0, 2**32),
        st.integers(0, 30),
        st.integers(1, 15),
    )
    def test_matches_exact_fractions(self, range_a, range_b, seed, shift, bits):
        rng = np.random.default_rng(seed)
        factors = rng.integers(-(2**bits), 2**bits, (2, 3))
        shifts = np.array([shift])
        zero_a, zero_b, zero = (int(z) for z in rng.integers(-300, 300, 3))
        attributes = {
            "zero_a": zero_a,
            "zero_b": zero_b,
            "zero_point": zero,
            "low": -128,
            "high": 127,
        }
        parameters = (factors[0], factors[1], shifts)
        try:
            type_ = infer(
                "rescaled_add",
                tensor((2, 3), *range_a),
                tensor((2, 3), *range_b),
                *map(constant, parameters),
                **attributes,
            )
        except FullintError:
            largest = [
                max(abs(end - zero_) for end in ends)
                for ends, zero_ in ((range_a, zero_a), (range_b, zero_b))
            ]
            worst = (np.abs(factors) * np.array(largest)[:, None]).sum(0).max()
            assert worst + 2**shift // 2 + abs(zero) >= 2**31
            return
        a = samples(*range_a, seed, 24).reshape(4, 2, 3)
        b = samples(*range_b, seed + 1, 24).reshape(4, 2, 3)
        b[2:] = b[2:, ::-1]
        result = compute("rescaled_add", a, b, *parameters, **attributes)
        assert_in_range(result, type_)
        for index in np.ndindex(a.shape):
            term_a = in_int32((int(a[index]) - zero_a) * int(factors[0, index[-1]]))
            term_b = in_int32((int(b[index]) - zero_b) * int(factors[1, index[-1]]))
            in_int32(in_int32(term_a + term_b) + 2**shift // 2)
            exact = rounded(Fraction(term_a + term_b, 2**shift)) + zero
            assert result[index] == min(max(in_int32(exact), -128), 127)

    def test_a_constant_joins_every_image(self):
        position = np.arange(6).reshape(1, 2, 3)
        one, shift = np.array([1]), np.array([0])
        type_ = infer(
            "rescaled_add",
            constant(position),
            tensor((1, 2, 3), 0, 9),
            *map(constant, (one, one, shift)),
            **PLAIN_ADD,
        )
        x = np.arange(30).reshape(5, 1, 2, 3)
        result = compute("rescaled_add", position, x, one, one, shift, **PLAIN_ADD)
        assert_in_range(result, type_)
        assert (result == x + position).all()

    @pytest.mark.parametrize(
        ("multiplier", "shift", "high", "message"),
        [
            (2**23, 0, 255, "int32"),
            (2**31 - 1, 0, 2**31 - 1, "int32"),  # the product passes int64's half
            (2**22, 30, 255, "int32"),  # for its rounding alone
            (1, 31, 255, r"shift must lie"),
            (1, -1, 255, r"shift must lie"),
        ],
    )
    def test_refuses(self, multiplier, shift, high, message):
        with pytest.raises(FullintError, match=message):
            infer(
                "rescaled_add",
                tensor((1, 3), 0, high),
                tensor((1, 3), 0, high),
                *map(constant, ([multiplier], [multiplier], [shift])),
                **PLAIN_ADD,
            )

    def test_refuses_sums_beyond_int64_and_far_zero_points(self):
        parameters = [constant([n]) for n in (2**31 - 1, 2**31 - 1, 0)]
        far = PLAIN_ADD | {"zero_a": -(2**40)}
        with pytest.raises(FullintError, match="int32"):
            infer("rescaled_add", tensor((3,), 0, 1), tensor((3,), 0, 1), *parameters, **far)
        one = [constant([n]) for n in (1, 1, 0)]
        far = PLAIN_ADD | {"zero_point": 2**31}
        with pytest.raises(FullintError, match="zero point"):
            infer("rescaled_add", tensor((3,), 0, 1), tensor((3,), 0, 1), *one, **far)


class TestAdd:
    @given(ranges(), ranges(), st.integers(0, 2**32))
    def test_is_exact_and_within_the_sum_of_the_ranges(self, range_a, range_b, seed):
        a, b = tensor((2, 3), *range_a), tensor((1, 3), *range_b)
        low, high = range_a[0] + range_b[0], range_a[1] + range_b[1]
        if low < -(2**31) or high >= 2**31:
            with pytest.raises(FullintError, match="32-bit"):
                infer("add", a, b)
            return
        type_ = infer("add", a, b)
        x = samples(*range_a, seed, 24).reshape(4, 2, 3)
        y = samples(*range_b, seed + 1, 12).reshape(4, 1, 3)
        result = compute("add", x, y)
        assert_in_range(result, type_)
        for index in np.ndindex(x.shape):
            assert result[index] == int(x[index]) + int(y[index[0], 0, index[2]])

    def test_operands_of_other_rank(self):
        # A computed tensor of lower rank would align its images with the other's first axis.
        with pytest.raises(FullintError, match="number of axes"):
            infer("add", tensor((3, 3), 0, 1), tensor((3,), 0, 1))
        with pytest.raises(FullintError, match="number of axes"):
            infer("add", tensor((3,), 0, 1), constant(np.ones((3, 3), int)))
        assert infer("add", tensor((3, 3), 0, 1), constant([1, 2, 3])).shape == (3, 3)
        with pytest.raises(ValueError):
            infer("add", tensor((3, 3), 0, 1), tensor((3, 2), 0, 1))


class TestLookup:
    @given(ranges(-200, 200), st.integers(-250, 0), st.integers(0, 2**32))
    def test_reads_the_table(self, x_range, offset, seed):
        table = np.random.default_rng(seed).integers(-128, 127, 512, endpoint=True)
        x = samples(*x_range, seed, 24).reshape(4, 2, 3)
        if x_range[0] < offset:
            with pytest.raises(FullintError, match="does not cover"):
                infer("lookup", tensor((2, 3), *x_range), constant(table), offset=offset)
            return
        type_ = infer("lookup", tensor((2, 3), *x_range), constant(table), offset=offset)
        result = compute("lookup", x, table, offset=offset)
        assert_in_range(result, type_)
        expected = [int(table[int(v) - offset]) for v in x.ravel()]
        assert result.ravel().tolist() == expected

    def test_refuses_short_tables_and_tables_that_are_not_constant_rows(self):
        infer("lookup", tensor((3,), 0, 255), constant(np.arange(256)), offset=0)
        for table, offset in ((np.arange(255), 0), (np.arange(256), 1), (np.arange(256), -1)):
            with pytest.raises(FullintError, match="does not cover"):
                infer("lookup", tensor((3,), 0, 255), constant(table), offset=offset)
        with pytest.raises(FullintError, match="does not cover"):
            infer("lookup", tensor((3,), 0, 3), constant(np.ones((4, 4), int)), offset=0)
        with pytest.raises(FullintError, match="computed"):
            infer("lookup", tensor((3,), 0, 3), tensor((4,), 0, 3), offset=0)
