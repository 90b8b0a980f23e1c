"""exact_matmul and the operations built on it: linear, matmul, shift_matmul, weighted_average."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer.exact_matmul import exact_matmul

from .oracles import assert_in_range, compute, constant, in_int32, infer, tensor

seeds = st.integers(0, 2**32)
sizes = st.integers(1, 6)


def product_by_hand(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Matrix product of two matrices in Python integers."""
    rows, columns = left.tolist(), right.T.tolist()
    return np.array(
        [[sum(a * b for a, b in zip(r, c, strict=True)) for c in columns] for r in rows],
        dtype=object,
    )


class TestExactMatmul:
    @pytest.mark.parametrize("limit", [2**24, 2**53, 2**62])
    @pytest.mark.parametrize("offset", [-1, 0, 1])
    @pytest.mark.parametrize("depth", [1, 2, 3, 64])
    def test_at_the_limits_of_the_float_types(self, limit, offset, depth):
        """Bounds just below, at and above the limit, of odd products that would lose a bit."""
        largest = limit // depth // 2**11 + offset
        left = np.full((2, depth), largest)
        right = np.full((depth, 2), 2**11)
        right[0, 0] -= 1
        left[1, 0] = -largest
        right[:, 1] *= -1
        assert (exact_matmul(left, right) == product_by_hand(left, right)).all()

    def test_single_products_around_the_limits(self):
        for limit in (2**24, 2**53):
            for value in range(limit - 3, limit + 4):
                one = np.array([[1, value]])
                assert exact_matmul(one, np.array([[value], [1]]))[0, 0] == 2 * value
                assert exact_matmul(np.array([[value]]), np.array([[1]]))[0, 0] == value

    @given(seeds, sizes, sizes, sizes, st.integers(1, 30), st.integers(1, 28))
    def test_matches_python_integers(self, seed, m, k, n, left_bits, right_bits):
        rng = np.random.default_rng(seed)
        left = rng.integers(-(2**left_bits), 2**left_bits, (m, k), endpoint=True)
        right = rng.integers(-(2**right_bits), 2**right_bits, (k, n), endpoint=True)
        result = exact_matmul(left, right)
        assert result.dtype == np.int64
        assert (result == product_by_hand(left, right)).all()

    def test_stacks_and_no_images(self):
        rng = np.random.default_rng(0)
        left, right = rng.integers(-128, 128, (5, 3, 4, 70)), rng.integers(-128, 128, (5, 3, 70, 2))
        assert (exact_matmul(left, right) == np.einsum("bhmk,bhkn->bhmn", left, right)).all()
        assert exact_matmul(left[:0], right[:0]).shape == (0, 3, 4, 2)
        assert (exact_matmul(left[0], right) == np.einsum("hmk,bhkn->bhmn", left[0], right)).all()


class TestLinear:
    @given(seeds, sizes, sizes, st.integers(-300, 300), st.integers(0, 600), st.integers(1, 22))
    def test_range_is_reached_and_never_left(self, seed, inputs, outputs, low, span, bits):
        rng = np.random.default_rng(seed)
        weight = rng.integers(-(2**bits), 2**bits, (outputs, inputs), endpoint=True)
        bias = rng.integers(-(2**bits), 2**bits, outputs, endpoint=True)
        high = low + span
        try:
            type_ = infer(
                "linear", tensor((2, inputs), low, high), constant(weight), constant(bias)
            )
        except FullintError:
            most = (np.abs(weight).sum(1) * max(abs(low), abs(high)) + np.abs(bias)).max()
            assert most >= 2**31
            return
        # For every output the inputs that drive it furthest up and down, and random ones.
        up = np.where(weight > 0, high, low)
        down = np.where(weight > 0, low, high)
        x = np.concatenate([up, down, rng.integers(low, high, (4, inputs), endpoint=True)])
        x = np.stack([x, x[::-1]], axis=1)
        result = compute("linear", x, weight, bias)
        assert_in_range(result, type_)
        for image, token in np.ndindex(x.shape[:2]):
            for output in range(outputs):
                total = 0
                for value, factor in zip(x[image, token], weight[output], strict=True):
                    total = in_int32(total + in_int32(int(value) * int(factor)))
                    # every partial sum is bounded, with the bias first or last
                    assert type_.low <= total <= type_.high
                    assert type_.low <= total + bias[output] <= type_.high
                assert result[image, token, output] == total + int(bias[output])
        if low <= 0 <= high:  # and it is as tight as partial sums allow
            assert type_.high == ((up * weight).sum(1) + np.maximum(bias, 0)).max()
            assert type_.low == ((down * weight).sum(1) + np.minimum(bias, 0)).min()

    def test_refuses_shapes_overflow_and_computed_weights(self):
        weight, bias = constant(np.ones((2, 3), int)), constant([0, 0])
        assert infer("linear", tensor((5, 3), 0, 1), weight, bias).shape == (5, 2)
        for x, w, b in (
            (tensor((5, 2), 0, 1), weight, bias),
            (tensor((5, 3), 0, 1), constant([1, 1, 1]), bias),
            (tensor((5, 3), 0, 1), weight, constant([1])),
            (tensor((5, 3), 0, 1), weight, constant([[0, 0]])),
        ):
            with pytest.raises(FullintError, match="linear of x"):
                infer("linear", x, w, b)
        with pytest.raises(FullintError, match="32-bit accumulator"):
            infer("linear", tensor((5, 3), 0, 2**30), weight, bias)
        with pytest.raises(FullintError, match="computed"):
            infer("linear", tensor((5, 3), 0, 1), tensor((2, 3), 0, 1), bias)

    def test_a_bound_beyond_int64_is_still_refused(self):
        """2^31 times 2^31 times 8 wraps to a harmless number in int64."""
        largest = 2**31 - 1
        for sign in (1, -1):
            weight = constant(np.full((1, 8), sign * largest))
            with pytest.raises(FullintError, match="32-bit accumulator"):
                infer("linear", tensor((1, 8), -largest - 1, largest), weight, constant([0]))


class TestMatmul:
    @given(seeds, sizes, sizes, sizes, st.integers(-300, 300), st.integers(-300, 300))
    def test_matches_loops_and_stays_in_range(self, seed, m, k, n, zero_a, zero_b):
        rng = np.random.default_rng(seed)
        range_a, range_b = np.sort(rng.integers(-200, 200, (2, 2)), axis=1).tolist()
        a = rng.integers(*range_a, (3, 2, m, k), endpoint=True)
        b = rng.integers(*range_b, (3, 2, k, n), endpoint=True)
        a[0], b[0] = range_a[0], range_b[0]
        a[1], b[1] = range_a[1], range_b[0]
        type_ = infer(
            "matmul",
            tensor((2, m, k), *range_a),
            tensor((2, k, n), *range_b),
            zero_a=zero_a,
            zero_b=zero_b,
        )
        result = compute("matmul", a, b, zero_a=zero_a, zero_b=zero_b)
        assert_in_range(result, type_)
        for image, head in np.ndindex(3, 2):
            expected = product_by_hand(a[image, head] - zero_a, b[image, head] - zero_b)
            assert (result[image, head] == expected).all()

    def test_row_sum_tightens_the_bound_only_without_a_zero_point(self):
        map_, value = tensor((4, 100), 0, 255, row_sum=305), tensor((100, 8), -128, 127)
        assert infer("matmul", map_, value, zero_a=0, zero_b=0).high == 305 * 128
        assert infer("matmul", map_, value, zero_a=1, zero_b=0).high == 100 * 254 * 128

    @pytest.mark.parametrize(
        ("a", "b"),
        [((3,), (3,)), ((2, 3), (2, 3)), ((1, 2, 3), (3, 2)), ((2, 2, 3), (1, 3, 2)), ((), ())],
    )
    def test_refuses_shapes(self, a, b):
        for kind, zeros in (
            ("matmul", {"zero_a": 0, "zero_b": 0}),
            ("shift_matmul", {"zero_b": 0}),
            ("weighted_average", {"zero_v": 0, "value_bits": 8, "fraction_bits": 6}),
        ):
            with pytest.raises(FullintError, match="matmul of shapes"):
                infer(kind, tensor(a, 0, 1), tensor(b, 0, 1), **zeros)

    def test_refuses_overflow(self):
        a, b = tensor((4, 2**15), 0, 255), tensor((2**15, 4), -255, 255)
        infer("matmul", a, b, zero_a=0, zero_b=0)
        with pytest.raises(FullintError, match="32-bit"):
            infer("matmul", a, b, zero_a=-3, zero_b=0)
        with pytest.raises(FullintError, match="32-bit"):
            infer("matmul", a, b, zero_a=0, zero_b=2**40)


class TestShiftMatmul:
    @given(seeds, sizes, st.integers(1, 40), sizes, st.integers(-300, 300))
    def test_is_the_sum_of_shifts(self, seed, m, k, n, zero_b):
        rng = np.random.default_rng(seed)
        codes = rng.integers(0, 15, (2, m, k), endpoint=True)
        codes[0, 0], codes[1, -1] = 0, 15
        b = rng.integers(-128, 127, (2, k, n), endpoint=True)
        b[0] = rng.choice([-128, 127], (k, n))
        type_ = infer(
            "shift_matmul", tensor((m, k), 0, 15), tensor((k, n), -128, 127), zero_b=zero_b
        )
        result = compute("shift_matmul", codes, b, zero_b=zero_b)
        assert_in_range(result, type_)
        for image, row, column in np.ndindex(result.shape):
            total = 0
            for term in range(k):
                value = int(b[image, term, column]) - zero_b
                total = in_int32(total + in_int32(value << (15 - int(codes[image, row, term]))))
            assert result[image, row, column] == total

    def test_bounds_and_refusals(self):
        value = tensor((3000, 2), -128, 127)
        with pytest.raises(FullintError, match="32-bit"):
            infer("shift_matmul", tensor((4, 3000), 0, 15), value, zero_b=0)
        row_sum = 50_000
        codes = tensor((4, 3000), 0, 15, row_sum=row_sum)
        assert infer("shift_matmul", codes, value, zero_b=0).high == 128 * row_sum
        for low, high in ((-1, 15), (0, 16)):
            with pytest.raises(FullintError, match="log2 codes"):
                infer("shift_matmul", tensor((4, 3000), low, high), value, zero_b=0)


class TestWeightedAverage:
    @given(seeds, st.integers(1, 300), st.integers(0, 14), st.integers(0, 14))
    def test_within_its_bound_of_the_exact_quotient(self, seed, k, value_bits, fraction_bits):
        fraction_bits = min(fraction_bits, 14 - value_bits)
        rng = np.random.default_rng(seed)
        largest = 2**value_bits
        zero_v = int(rng.integers(-100, 100))
        p = rng.integers(0, 255, (2, 5, k), endpoint=True)
        p[:, 1] = rng.random((2, k)) < 0.05  # few and small
        p[:, 2] = 255
        p[:, 3] = 1
        p[..., rng.integers(k)] = 255
        v = rng.integers(-largest, largest, (2, k, 6), endpoint=True)
        v[..., 0], v[..., 1] = largest, -largest
        v[..., 2] = rng.choice([-largest, largest], k)
        type_ = infer(
            "weighted_average",
            tensor((5, k), 0, 255),
            tensor((k, 6), zero_v - largest, zero_v + largest),
            zero_v=zero_v,
            value_bits=value_bits,
            fraction_bits=fraction_bits,
        )
        attributes = {"zero_v": zero_v, "value_bits": value_bits, "fraction_bits": fraction_bits}
        result = compute("weighted_average", p, v + zero_v, **attributes)
        assert_in_range(result, type_)
        row_sums = p.sum(-1)
        for image, row, column in np.ndindex(result.shape):
            total = in_int32(int((p[image, row] * v[image, :, column]).sum()))
            exact = Fraction(total * 2**fraction_bits, int(row_sums[image, row]))
            assert abs(int(result[image, row, column]) - exact) < Fraction(7, 4)

    def test_every_row_sum_with_extreme_values(self):
        """All row sums up to 2^16 at both ends of the range: the pre-shift saturates nothing."""
        sums = np.arange(1, 1 << 16)
        p = sums.reshape(1, -1, 1)
        for value in (2**8, 2**8 - 1, -(2**8), 1):
            result = compute(
                "weighted_average",
                p,
                np.full((1, 1, 1), value),
                zero_v=0,
                value_bits=8,
                fraction_bits=6,
            )
            # The quotient is the value itself.
            assert np.abs(result - value * 2**6).max() <= 1

    def test_a_row_of_zeros_gives_zero(self):
        p, v = np.zeros((1, 2, 5), int), np.full((1, 5, 3), 100)
        attributes = {"zero_v": -28, "value_bits": 7, "fraction_bits": 7}
        assert not compute("weighted_average", p, v, **attributes).any()

    @pytest.mark.parametrize(
        ("p", "v", "value_bits", "fraction_bits"),
        [
            ((-1, 255), (-128, 127), 7, 7),
            ((0, 255), (-129, 127), 7, 7),
            ((0, 255), (-128, 127), 7, 8),
            ((0, 255), (-128, 127), 7, -1),
            ((0, 255), (-128, 127), 15, 0),
            ((0, 255), (-128, 127), -1, 0),
            ((0, 2**20), (-128, 127), 7, 7),
            ((0, 2**31 - 1), (0, 0), 7, 7),
        ],
    )
    def test_refuses(self, p, v, value_bits, fraction_bits):
        with pytest.raises(FullintError):
            infer(
                "weighted_average",
                tensor((4, 785), *p),
                tensor((785, 64), *v),
                zero_v=0,
                value_bits=value_bits,
                fraction_bits=fraction_bits,
            )

    def test_the_rounding_before_the_pre_shift_is_part_of_the_bound(self):
        attributes = {"zero_v": 0, "value_bits": 14, "fraction_bits": 0}
        v = tensor((1, 1), -(2**14), 2**14)
        infer("weighted_average", tensor((1, 1), 0, 2**16), v, **attributes)
        with pytest.raises(FullintError, match="int32"):
            infer("weighted_average", tensor((1, 1), 0, 2**17 - 1), v, **attributes)
