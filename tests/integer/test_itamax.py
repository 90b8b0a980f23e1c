"""itamax against a loop after ITA's published hardware, hand-computed rows, and float softmax."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullint.errors import FullintError

from .oracles import assert_in_range, compute, constant, infer, tensor

UNIT = tuple(np.array([n]) for n in (0, 1, 0))
PAPER = {"zero_point": 0, "fraction_bits": 5, "group": 16, "rounding": 0}


def run(rows: list | np.ndarray, **changes: int) -> np.ndarray:
    """Rows of 8-bit codes through the operation, checked against its type."""
    codes = np.atleast_2d(np.asarray(rows, dtype=np.int64))[None]
    attributes = PAPER | changes
    type_ = infer("itamax", tensor(codes.shape[1:], 0, 255), *map(constant, UNIT), **attributes)
    result = compute("itamax", codes, *UNIT, **attributes)
    assert_in_range(result, type_)
    assert type_.row_sum is not None and result.sum(-1).max() <= type_.row_sum
    return result[0]


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def algorithm(row: list[int], *, fraction_bits: int, group: int, rounding: int) -> list[int]:
    """The streaming loop: shifts of up to 31 places leave nothing of 2^8."""
    maximum, total = 0, 0
    for start in range(0, len(row), group):
        part = row[start : start + group]
        highest = max(maximum, *part)
        total >>= min(half_up(Fraction(highest - maximum, 2**fraction_bits)), 31)
        total += sum(256 >> min(half_up(Fraction(highest - x, 2**fraction_bits)), 31) for x in part)
        maximum = highest
    shifts = [min(half_up(Fraction(maximum - x, 2**fraction_bits)), 31) for x in row]
    if rounding:
        quotient = half_up(Fraction(65280, total))
        return [half_up(Fraction(quotient, 2**shift)) for shift in shifts]
    return [65280 // total >> shift for shift in shifts]


ROWS = st.lists(st.integers(0, 255), min_size=1, max_size=70) | st.integers(0, 255).map(
    lambda code: [code] * 300
)


@settings(max_examples=200)
@given(
    row=ROWS,
    fraction_bits=st.integers(0, 5),
    group=st.sampled_from([1, 2, 16, 1000]),
    rounding=st.integers(0, 1),
)
def test_equals_the_algorithm(row, **attributes):
    assert run(row, **attributes)[0].tolist() == algorithm(row, **attributes)


def test_rows_by_hand():
    assert run([200]).tolist() == [[255]]
    # Two equal scores: 65280 / 512 = 127.5.
    assert run([7, 7]).tolist() == [[127, 127]]
    assert run([7, 7], rounding=1).tolist() == [[128, 128]]
    # 32 codes are an octave: 65280 / 384 = 170, and half of it.
    assert run([64, 32]).tolist() == [[170, 85]]
    # 8 octaves below, an element adds 1 to the sum and gets nothing.
    assert run([255, 0]).tolist() == [[254, 0]]
    # 30 of 32 steps are an octave, 15 twice are none: the sum is 640 in one group, 768 in two.
    assert run([0, 15, 30]).tolist() == [[51, 102, 102]]
    assert run([0, 15, 30], group=2).tolist() == [[42, 85, 85]]


def test_longer_steps_reach_further():
    """Rows whose maximum is beyond the codes are cut off; 9 octaves with a step of 1/8 fit."""
    assert run([255, 255 - 9 * 8], fraction_bits=3).tolist() == [[255, 0]]


@pytest.mark.parametrize(
    ("changes", "root"),
    [
        ({"fraction_bits": 3}, 0.0034),
        ({"fraction_bits": 3, "group": 197}, 0.0030),
        ({"fraction_bits": 3, "group": 197, "rounding": 1}, 0.0028),
        ({"fraction_bits": 0}, 0.0039),
    ],
)
def test_errors_on_gaussian_scores(changes, root):
    """Root mean square error of weights of 197 scores of deviation 2 nats: what no change may
    worsen.
    """
    scores = np.random.default_rng(3).normal(size=(400, 197)) * 2
    steps = scores * math.log2(math.e) * 2 ** changes["fraction_bits"]
    codes = np.clip(np.rint(steps) + 128, 0, 255).astype(np.int64)
    real = np.exp(scores - scores.max(-1, keepdims=True))
    real /= real.sum(-1, keepdims=True)
    assert np.sqrt(((run(codes, **changes) / 256 - real) ** 2).mean()) < root


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fraction_bits": 6}, "fraction_bits lies"),
        ({"zero_point": -1}, "zero_point must lie"),
        ({"rounding": 2}, "rounding is 0 or 1"),
        ({"group": 0}, "group at least 1"),
    ],
)
def test_refusals(changes, sentence):
    with pytest.raises(FullintError, match=sentence):
        infer("itamax", tensor((2, 5), 0, 255), *map(constant, UNIT), **(PAPER | changes))
