"""softmax, log2_softmax and exponentials against float64 softmax, at every extreme."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer.ops.log2_softmax import row_sum_bound
from fullint.integer.softmax_parts import (
    FRACTION_BITS,
    LARGEST_DISTANCE,
    LONGEST_ROW,
    distances_below_maximum,
    exponentials,
)

from .oracles import assert_in_range, compute, constant, fast_factor, infer, requantized, tensor

KINDS = [
    ("softmax", {}),
    ("exponentials", {}),
    ("log2_softmax", {"rounding": 425}),
    ("log2_softmax", {"rounding": 512}),
    ("log2_softmax", {"rounding": 599}),
    ("log2_softmax", {"rounding": 0}),
    ("log2_softmax", {"rounding": 1023}),
]
# The ends of the widest range of scores that leaves room for the rounding of any pre-shift here.
LOWEST, HIGHEST = -(2**30), 2**30 - 2**15 - 1
LENGTHS = [1, 2, 3, 16, 49, 197, 785]
# Distances of one score step: one score is exactly one step of t, so that t is what a test says.
UNIT = tuple(np.array([n]) for n in (0, 1, 0))


def score_factor(scale: float, span: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The factor that a lowering would choose for scores in steps of `scale`."""
    octave = scale * math.log2(math.e)
    useful = min(max(span, 1), math.ceil(32 / octave))
    factor = fast_factor(octave * 2**FRACTION_BITS, useful)
    return tuple(np.array([part]) for part in factor)


def float_softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def check_row_sum(kind: str, codes: np.ndarray, bound: int) -> None:
    """What `row_sum` promises of every row."""
    weights = np.int64(1) << (15 - codes) if kind == "log2_softmax" else codes
    assert weights.sum(-1).max() <= bound
    assert codes.sum(-1).max() <= bound


@st.composite
def score_rows(draw: st.DrawFn) -> tuple[np.ndarray, float]:
    """Rows (1, 4, length) of integer scores of many spreads, and the value of their step."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    length = draw(st.sampled_from(LENGTHS))
    real = rng.normal(size=(1, 4, length)) * draw(st.sampled_from([0.01, 0.3, 1, 3, 10, 40]))
    real[:, 1, 0] += draw(st.floats(0, 40))  # one dominant token
    real[:, 2] = np.round(real[:, 2])  # ties
    scale = 10 ** draw(st.floats(-4.5, -1.5))
    return np.round(real / scale).astype(np.int64), scale


@settings(max_examples=150)
@given(score_rows())
def test_softmax_and_exponentials_against_float64(case):
    scores, scale = case
    factor = score_factor(scale, int(np.ptp(scores)))
    operands = (tensor(scores.shape[1:], int(scores.min()), int(scores.max())),)
    operands += tuple(constant(part) for part in factor)
    real = scores * scale
    length = scores.shape[-1]

    codes = compute("softmax", scores, *factor)
    type_ = infer("softmax", *operands)
    assert_in_range(codes, type_)
    check_row_sum("softmax", codes, type_.row_sum)
    assert np.abs(codes - 255 * float_softmax(real)).max() <= 1 + length / 128

    codes = compute("exponentials", scores, *factor)
    type_ = infer("exponentials", *operands)
    assert_in_range(codes, type_)
    check_row_sum("exponentials", codes, type_.row_sum)
    assert (codes.max(-1) == 255).all()
    exact = 255 * np.exp(real - real.max(-1, keepdims=True))
    assert np.abs(codes - exact).max() <= 1.2  # 1, and the rounding of the distance


@settings(max_examples=150)
@given(score_rows(), st.integers(0, 1023))
def test_log2_softmax_against_float64(case, rounding):
    scores, scale = case
    factor = score_factor(scale, int(np.ptp(scores)))
    codes = compute("log2_softmax", scores, *factor, rounding=rounding)
    type_ = infer(
        "log2_softmax",
        tensor(scores.shape[1:], int(scores.min()), int(scores.max())),
        *(constant(part) for part in factor),
        rounding=rounding,
    )
    assert_in_range(codes, type_)
    assert (type_.low, type_.high, type_.bits) == (0, 15, 4)
    check_row_sum("log2_softmax", codes, type_.row_sum)
    with np.errstate(divide="ignore"):
        exact = -np.log2(float_softmax(scores * scale)) + rounding / 1024
    # A code differs from the exact one only where that is on the edge between two codes: the
    # polynomial and the roundings move it by 0.01, cut-off exponentials by 1.45 length / 2^15.
    edge = 0.01 + 1.45 * scores.shape[-1] / 2**15
    lowest = np.clip(np.floor(exact - edge), 0, 15)
    highest = np.clip(np.floor(exact + edge), 0, 15)
    assert (lowest <= codes).all() and (codes <= highest).all()


def test_codes_are_rarely_off_by_one():
    """Over random rows of 197 scores, nearly all codes are the exact real ones rounded once."""
    rng = np.random.default_rng(0)
    scale = 1e-3
    scores = np.round(rng.normal(size=(8, 60, 197)) * rng.uniform(0.2, 4, (8, 60, 1)) / scale)
    scores = scores.astype(np.int64)
    factor = score_factor(scale, int(np.ptp(scores)))
    exact = float_softmax(scores * scale)
    codes = compute("softmax", scores, *factor)
    off = codes - np.floor(255 * exact + 0.5)
    assert np.abs(off).max() <= 1 and (off != 0).mean() < 0.005
    codes = compute("log2_softmax", scores, *factor, rounding=512)
    off = codes - np.clip(np.floor(0.5 - np.log2(exact)), 0, 15)
    assert np.abs(off).max() <= 1 and (off != 0).mean() < 0.003


@pytest.mark.parametrize(("kind", "attributes"), KINDS)
@pytest.mark.parametrize("length", LENGTHS)
def test_extreme_rows(kind, attributes, length):
    """All equal, one-hot, two levels at every distance, a staircase, and both ends of int32."""
    steps = np.arange(length)
    rows = [np.full(length, value) for value in (0, LOWEST, HIGHEST)]
    rows += [np.where(steps == 0, HIGHEST, LOWEST), np.where(steps == 0, LOWEST, HIGHEST)]
    rows += [np.where(steps == 0, 0, -(2**bits)) for bits in range(0, 30)]
    rows += [np.where(steps < length // 2, 0, -(2**bits)) for bits in range(0, 30)]
    rows += [-steps, -steps * 1024, -steps * 30_000, -(steps**2)]
    scores = np.stack(rows)[:, None]
    for factor in (UNIT, score_factor(1e-6, 2**31 - 1), score_factor(1e-2, 2**20)):
        if factor is UNIT:
            scores_now = np.maximum(scores - scores.max(-1, keepdims=True), -(2**15))
        else:
            scores_now = scores
        span = np.ptp(scores_now, axis=(1, 2)).max()
        type_ = infer(
            kind,
            tensor((1, length), -int(span), 0),
            *(constant(part) for part in factor),
            **attributes,
        )
        codes = compute(kind, scores_now, *factor, **attributes)
        assert_in_range(codes, type_)
        check_row_sum(kind, codes, type_.row_sum)
        if kind == "exponentials":
            assert (codes.max(-1) == 255).all()


@pytest.mark.parametrize("length", [*range(1, 70), 196, 197, 255, 256, 257, 784, 785, 4097])
def test_rows_of_equal_scores(length):
    scores = np.full((1, 1, length), -12345)
    codes = compute("softmax", scores, *UNIT)
    assert len(np.unique(codes)) == 1
    assert abs(int(codes[0, 0, 0]) - Fraction(255, length)) <= Fraction(53, 100)
    assert (compute("exponentials", scores, *UNIT) == 255).all()
    for rounding in (0, 425, 512, 599, 1023):
        codes = compute("log2_softmax", scores, *UNIT, rounding=rounding)
        edge = 2 / 1024  # of the logarithm
        exact = math.log2(length) + rounding / 1024
        assert codes.min() == codes.max()
        assert math.floor(exact - edge) <= codes.max() <= math.floor(exact)
        check_row_sum("log2_softmax", codes, row_sum_bound(length, rounding))


def test_one_hot_rows_are_exact():
    for length in LENGTHS:
        for far in (2**15 - 1, 2**20, 2**30):
            scores = np.full((1, 1, length), -far)
            scores[..., length // 2] = 0
            hot = np.zeros((1, 1, length), int)
            hot[..., length // 2] = 1
            assert (compute("softmax", scores, *UNIT) == 255 * hot).all()
            assert (compute("exponentials", scores, *UNIT) == 255 * hot).all()
            codes = compute("log2_softmax", scores, *UNIT, rounding=512)
            assert (codes == 15 - 15 * hot).all()


@pytest.mark.parametrize("rounding", [0, 425, 512, 599, 1023])
def test_row_sums_of_log2_codes_near_the_bound(rounding):
    """Rows of two levels, among them those that round every code down, come near the bound."""
    nearest = 0.0
    for length in (2, 3, 5, 17, 33, 65, 129, 197, 257, 513, 785, 1025, 7001):
        for distance in (*range(0, 2048, 97), *range(9 * 1024, 16 * 1024, 331), LARGEST_DISTANCE):
            for many in {1, length // 2, length - 1}:
                scores = np.zeros((1, 1, length), int)
                scores[..., :many] = -distance
                codes = compute("log2_softmax", scores, *UNIT, rounding=rounding)
                bound = row_sum_bound(length, rounding)
                check_row_sum("log2_softmax", codes, bound)
                nearest = max(nearest, float((2 ** (15 - codes)).sum() / bound))
    assert nearest > 0.5  # the bound is no idle one


@given(
    st.integers(-(2**30), 2**30),
    st.lists(st.integers(0, 2**30), min_size=1, max_size=6),
    st.integers(0, 16),
    st.integers(0, 2**15 - 1),
    st.integers(0, 30),
)
def test_distances_are_the_requantized_differences(highest, below, pre_shift, multiplier, shift):
    scores = np.array([[highest, *(highest - distance for distance in below)]])
    factor = tuple(np.array([part]) for part in (pre_shift, multiplier, shift))
    result = distances_below_maximum(scores, *factor)
    expected = [
        min(requantized(distance, pre_shift, multiplier, shift, 16), LARGEST_DISTANCE)
        for distance in (0, *below)
    ]
    assert result.tolist() == [expected]
    assert result[0, 0] == 0


@pytest.mark.parametrize(("amplitude", "steps"), [(1 << 15, 1), (255 << 8, 1)])
def test_exponentials_of_every_distance(amplitude, steps):
    distances = np.arange(LARGEST_DISTANCE + 1)
    result = exponentials(distances, amplitude)
    exact = amplitude * np.exp2(-distances / 1024)
    assert (np.abs(result - exact) <= 0.0023 * exact + steps + 1).all()
    assert (np.diff(result) <= 0).all()  # the order of scores is never inverted
    assert result[0] == amplitude and result[-1] == 0


def test_uint8_exponentials_of_every_distance_are_within_one_code():
    scores = -np.arange(LARGEST_DISTANCE + 1).reshape(1, 1, -1)
    codes = compute("exponentials", scores, *UNIT)
    assert np.abs(codes - 255 * np.exp2(scores / 1024)).max() < 1


@pytest.mark.parametrize(("kind", "attributes"), KINDS[:3])
def test_shifting_all_scores_changes_nothing(kind, attributes):
    scores = np.random.default_rng(0).integers(-20_000, 20_000, (2, 3, 50))
    factor = score_factor(1e-3, 40_000)
    expected = compute(kind, scores, *factor, **attributes)
    for shift in (-(2**30), 12_345, 2**30):
        assert (compute(kind, scores + shift, *factor, **attributes) == expected).all()


@pytest.mark.parametrize(("kind", "attributes"), KINDS[:3])
def test_a_factor_for_every_head(kind, attributes):
    """Factors (heads, 1, 1) are those of each head alone."""
    rng = np.random.default_rng(0)
    scores = rng.integers(-20_000, 20_000, (2, 3, 4, 50))
    factors = [score_factor(scale, 40_000) for scale in (1e-4, 1e-3, 1e-2)]
    joined = [np.stack(parts).reshape(3, 1, 1) for parts in zip(*factors, strict=True)]
    infer(kind, tensor((3, 4, 50), -20_000, 20_000), *map(constant, joined), **attributes)
    result = compute(kind, scores, *joined, **attributes)
    for head, factor in enumerate(factors):
        assert (result[:, head] == compute(kind, scores[:, head], *factor, **attributes)).all()


@pytest.mark.parametrize(("kind", "attributes"), KINDS[:3])
def test_refusals(kind, attributes):
    one, zero = constant([1]), constant([0])

    def check(x, *factor):
        return infer(kind, x, *factor, **attributes)

    check(tensor((4, 5), LOWEST, HIGHEST), constant([16]), one, zero)
    check(tensor((2, LONGEST_ROW - 1), 0, 9), zero, one, zero)
    with pytest.raises(FullintError, match="rows of"):
        check(tensor((2, LONGEST_ROW), 0, 9), zero, one, zero)
    with pytest.raises(FullintError, match="span"):
        check(tensor((4, 5), -(2**31), 0), zero, one, zero)
    with pytest.raises(FullintError, match="pre-shift"):
        check(tensor((4, 5), -(2**31) + 1, 0), constant([16]), one, zero)
    with pytest.raises(FullintError, match="multiplier"):
        check(tensor((4, 5), 0, 9), zero, constant([2**15]), zero)
    with pytest.raises(FullintError, match="constant along the rows"):
        check(tensor((4, 5), 0, 9), zero, constant(np.ones(5, int)), zero)
    with pytest.raises(FullintError, match="computed"):
        check(tensor((4, 5), 0, 9), zero, tensor((1,), 0, 9), zero)
    if kind == "log2_softmax":
        for rounding in (-1, 1024):
            with pytest.raises(FullintError, match="rounding"):
                infer(kind, tensor((4, 5), 0, 9), zero, one, zero, rounding=rounding)
