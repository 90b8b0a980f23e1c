"""table_softmax against float64 softmax, and its bound on a row's sum at every extreme."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer.ops.table_softmax import MOST_ENTRIES, row_sum_bound

from .oracles import assert_in_range, compute, constant, fast_factor, infer, tensor

ENTRIES = 16 * 1024
LENGTHS = [1, 2, 3, 16, 49, 197, 785]
# One score is one step of the distance below the maximum, 2^-10 octaves.
UNIT = tuple(np.array([n]) for n in (0, 1, 0))
# The table of the logarithms themselves.
IDENTITY = np.arange(ENTRIES)[None]


def float_softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp2(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def table_of(levels: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Levels (heads, n) by weight; thresholds (n - 1) between them, both from small to large."""
    weights = np.exp2(-(np.arange(ENTRIES) + 0.5) / 1024)
    return levels[:, np.searchsorted(thresholds, weights)]


def uniform_table(codes: int) -> np.ndarray:
    """Evenly spaced levels from 0 to 2^14."""
    levels = np.round(np.arange(codes) * 2**14 / (codes - 1)).astype(np.int64)
    return table_of(levels[None], (np.arange(codes - 1) + 0.5) / (codes - 1))


def logarithmic_table(codes: int, base: float) -> np.ndarray:
    """Levels 2^14 base^-k."""
    exponents = np.arange(codes)[::-1]
    levels = np.round(2**14 * base**-exponents).astype(np.int64)
    return table_of(levels[None], base ** -(exponents[1:] + 0.5))


TABLES = {
    "uniform 256": uniform_table(256),
    "uniform 4": uniform_table(4),
    "log2 16": logarithmic_table(16, 2.0),
    "log sqrt2 16": logarithmic_table(16, math.sqrt(2)),
    "constant": np.full((1, ENTRIES), 77),
    "rising": IDENTITY,
    "one entry": np.array([[5]]),
    "steep": np.where(IDENTITY < ENTRIES - 1, 2**14, 0),
}


@st.composite
def score_rows(draw: st.DrawFn) -> np.ndarray:
    """Rows (1, 4, length) of scores in octaves, of many spreads."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    length = draw(st.sampled_from(LENGTHS))
    real = rng.normal(size=(1, 4, length)) * draw(st.sampled_from([0.01, 0.3, 1, 3, 10, 40]))
    real[:, 1, 0] += draw(st.floats(0, 40))  # one dominant token
    real[:, 2] = np.round(real[:, 2])  # ties
    return real


@settings(max_examples=150)
@given(score_rows(), st.floats(-4.5, -1.5))
def test_logarithms_against_float64(real, magnitude):
    scale = 10**magnitude
    scores = np.round(real / scale).astype(np.int64)
    span = int(np.ptp(scores))
    useful = min(max(span, 1), math.ceil(32 / scale))
    factor = tuple(np.array([part]) for part in fast_factor(scale * 1024, useful))
    logarithms = compute("table_softmax", scores, *factor, IDENTITY)
    type_ = infer(
        "table_softmax",
        tensor(scores.shape[1:], int(scores.min()), int(scores.max())),
        *(constant(part) for part in factor),
        constant(IDENTITY),
    )
    assert_in_range(logarithms, type_)
    with np.errstate(divide="ignore"):
        exact = -1024 * np.log2(float_softmax(scores * scale))
    # Beside the documented error: the distance's rounding, and that of its factor.
    rounding = 1.1 + exact * 2**-14
    edge = 3 + 1024 * math.log2(1.0024 + scores.shape[-1] / 2**14) + rounding
    lowest, highest = (np.clip(exact + off, 0, ENTRIES - 1) for off in (-edge, edge))
    assert (lowest - 1 <= logarithms).all() and (logarithms <= highest).all()


def test_levels_are_nearly_always_those_of_the_exact_weights():
    rng = np.random.default_rng(0)
    octaves = rng.normal(size=(4, 60, 197)) * rng.uniform(0.2, 4, (4, 60, 1))
    scores = np.round(octaves * 1024).astype(np.int64)
    exact = float_softmax(scores / 1024)
    for name, codes in (("uniform 256", 256), ("uniform 4", 4)):
        levels = compute("table_softmax", scores, *UNIT, TABLES[name])
        expected = np.round(np.round(exact * (codes - 1)) * 2**14 / (codes - 1))
        assert (levels != expected).mean() < 0.03
    levels = compute("table_softmax", scores, *UNIT, TABLES["log2 16"])
    expected = np.round(2.0 ** (14 - np.clip(np.round(-np.log2(exact)), 0, 15)))
    assert (levels != expected).mean() < 0.01


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("length", [*LENGTHS, 4097])
def test_row_sums_stay_within_their_bound(name, length):
    """All equal, one-hot, and rows of two levels at every distance."""
    table = TABLES[name]
    steps = np.arange(length)
    rows = [np.zeros(length, int), -steps, -steps * 1024, -steps * 30_000]
    for distance in (*range(0, 2048, 97), *range(9 * 1024, 17 * 1024, 331), 2**15 - 1):
        rows += [np.where(steps < many, 0, -distance) for many in {1, length // 2, length - 1}]
    scores = np.stack(rows)[:, None]
    type_ = infer(
        "table_softmax",
        tensor((1, length), int(scores.min()), 0),
        *(constant(part) for part in UNIT),
        constant(table),
    )
    levels = compute("table_softmax", scores, *UNIT, table)
    assert_in_range(levels, type_)
    assert levels.sum(-1).max() <= type_.row_sum


def test_row_sum_bounds_are_no_idle_ones():
    assert row_sum_bound(TABLES["uniform 256"], 197) < 2.1 * 2**14
    assert row_sum_bound(TABLES["log2 16"], 197) < 1.5 * 2**14
    assert row_sum_bound(TABLES["constant"], 197) == 197 * 77


def test_a_table_and_a_factor_for_every_head():
    rng = np.random.default_rng(0)
    scores = rng.integers(-20_000, 20_000, (2, 1, 3, 4, 50))
    table = rng.integers(-(2**14), 2**14, (3, ENTRIES))
    factors = [fast_factor(real, 40_000) for real in (0.1, 0.7, 3.3)]
    joined = [np.array(parts).reshape(3, 1, 1) for parts in zip(*factors, strict=True)]
    result = compute("table_softmax", scores, *joined, table)
    for head, factor in enumerate(factors):
        parts = [np.array([part]) for part in factor]
        alone = compute("table_softmax", scores[:, :, head], *parts, table[head : head + 1])
        assert (result[:, :, head] == alone).all()


def test_shifting_all_scores_changes_nothing():
    scores = np.random.default_rng(0).integers(-20_000, 20_000, (2, 3, 50))
    expected = compute("table_softmax", scores, *UNIT, IDENTITY)
    for shift in (-(2**30), 12_345, 2**30):
        assert (compute("table_softmax", scores + shift, *UNIT, IDENTITY) == expected).all()


def test_refusals():
    factor = [constant(part) for part in UNIT]
    scores = tensor((1, 3, 4, 5), 0, 9)

    def check(x, table):
        return infer("table_softmax", x, *factor, table)

    assert check(scores, constant(np.ones((1, 9), int))).row_sum == 5
    assert check(scores, constant(np.ones((3, 9), int))).row_sum == 5
    assert check(scores, constant(np.array([[-1, 3]]))).row_sum is None
    assert check(tensor((4, 5), 0, 9), constant(np.ones((1, 9), int))).shape == (4, 5)
    with pytest.raises(FullintError, match="a table of shape"):
        check(scores, constant(np.ones((2, 9), int)))
    with pytest.raises(FullintError, match="a table of shape"):
        check(scores, constant(np.ones(9, int)))
    assert check(scores, constant(np.ones((1, MOST_ENTRIES), int))).row_sum == 5
    with pytest.raises(FullintError, match="longer than"):
        check(scores, constant(np.ones((1, MOST_ENTRIES + 1), int)))
    with pytest.raises(FullintError, match="computed"):
        check(scores, tensor((1, 9), 0, 9))
    with pytest.raises(FullintError, match="span"):
        check(tensor((4, 5), -(2**31), 0), constant(np.ones((1, 9), int)))
