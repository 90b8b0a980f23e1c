"""shiftmax against exact fractions after the paper's algorithm, and float softmax."""

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
PAPER = {"fraction_bits": 3, "octaves": 15, "natural": 1, "rounding": 0, "output_bits": 7}
OURS = {"fraction_bits": 4, "octaves": 12, "natural": 0, "rounding": 1, "output_bits": 8}


def run(rows: list | np.ndarray, **attributes: int) -> np.ndarray:
    """Rows of scores, already in the operation's steps, checked against its type."""
    scores = np.atleast_2d(np.asarray(rows, dtype=np.int64))[None]
    operand = tensor(scores.shape[1:], scores.min(), scores.max())
    type_ = infer("shiftmax", operand, *map(constant, UNIT), **attributes)
    result = compute("shiftmax", scores, *UNIT, **attributes)
    assert_in_range(result, type_)
    assert type_.row_sum is not None and result.sum(-1).max() <= type_.row_sum
    return result[0]


def algorithm(
    row: list[int],
    *,
    fraction_bits: int,
    octaves: int,
    natural: int,
    rounding: int,
    output_bits: int,
) -> list[int]:
    """Algorithm 1 of the paper in fractions: x <= 0, scale 2^-fraction_bits, x0 = -1 / scale."""
    x0 = -(2**fraction_bits)
    exponentials = []
    for score in row:
        x = score - max(row)
        if natural:
            x = x + math.floor(Fraction(x, 2)) - math.floor(Fraction(x, 16))
        x = max(x, octaves * x0)
        q = x // x0
        r = x - x0 * q
        exponentials.append(math.floor((Fraction(r, 2) - x0) * Fraction(2) ** (octaves - q)))
    factor = (2**31 - 1) // sum(exponentials)
    result = []
    for e in exponentials:
        assert e > 0 and e * factor < 2**31
        code = Fraction(e * factor, 2 ** (31 - output_bits)) + Fraction(rounding, 2)
        result.append(min(math.floor(code), 2**output_bits - 1))
    return result


ROWS = st.lists(st.integers(-400, 400), min_size=1, max_size=60) | st.integers(1, 400).map(
    lambda length: [7] * length
)


@settings(max_examples=200)
@given(
    row=ROWS,
    fraction_bits=st.integers(0, 7),
    octaves=st.integers(1, 15),
    natural=st.integers(0, 1),
    rounding=st.integers(0, 1),
    output_bits=st.integers(4, 15),
)
def test_equals_the_algorithm(row, **attributes):
    assert run(row, **attributes)[0].tolist() == algorithm(row, **attributes)


def test_rows_by_hand():
    assert run([5], **PAPER).tolist() == [[127]]
    assert run([5], **OURS).tolist() == [[255]]
    # One octave is 16 steps, and half an octave weighs 3/4: 4/7 and 3/7 of 256.
    assert run([16, 0], **OURS).tolist() == [[171, 85]]
    assert run([8, 0], **OURS).tolist() == [[146, 110]]
    # Cut off to 7 bits, 129 equal weights vanish; rounded to 8 they do not.
    assert run([3] * 129, **PAPER).tolist() == [[0] * 129]
    assert run([3] * 129, **OURS).tolist() == [[2] * 129]


@given(row=ROWS)
def test_scores_are_scaled(row):
    factor = tuple(np.array([n]) for n in (1, 3, 2))
    scores = np.array(row)[None, None]
    below = scores.max() - scores
    steps = ((((below + 1) >> 1) * 3) + 2) >> 2
    expected = compute("shiftmax", -steps, *UNIT, **OURS)
    assert np.array_equal(compute("shiftmax", scores, *factor, **OURS), expected)


@pytest.mark.parametrize(
    ("attributes", "root", "worst"),
    [
        (OURS, 0.0011, 0.026),
        (OURS | {"output_bits": 15}, 0.0006, 0.025),
        (PAPER, 0.0028, 0.040),
        (PAPER | {"output_bits": 15}, 0.0011, 0.038),
    ],
)
def test_errors_on_gaussian_scores(attributes, root, worst):
    """Root mean square and largest error of weights of 197 scores of deviation 2 nats: what no
    change may worsen.
    """
    scores = np.random.default_rng(3).normal(size=(400, 197)) * 2
    octave = 1.0 if attributes["natural"] else math.log2(math.e)
    steps = np.rint(scores * octave * 2 ** attributes["fraction_bits"]).astype(np.int64)
    real = np.exp(scores - scores.max(-1, keepdims=True))
    real /= real.sum(-1, keepdims=True)
    difference = run(steps, **attributes) / 2 ** attributes["output_bits"] - real
    assert np.sqrt((difference**2).mean()) < root and abs(difference).max() < worst


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fraction_bits": 11}, "fraction_bits must lie"),
        ({"octaves": 0}, "octaves in"),
        ({"natural": 2}, "natural and rounding"),
        ({"rounding": -1}, "natural and rounding"),
        ({"output_bits": 16}, "output_bits from 4"),
        ({"fraction_bits": 10, "octaves": 20}, "could sum beyond int32"),
    ],
)
def test_refusals(changes, sentence):
    operand = tensor((2, 5), -100, 100)
    with pytest.raises(FullintError, match=sentence):
        infer("shiftmax", operand, *map(constant, UNIT), **(OURS | changes))


def test_rows_up_to_the_longest():
    """2^15 exponentials of 2^16 sum to 2^31; one element less fits."""
    factors = [constant(part) for part in UNIT]
    infer("shiftmax", tensor((1, 2**15 - 1), 0, 9), *factors, **OURS)
    with pytest.raises(FullintError, match="could sum beyond int32"):
        infer("shiftmax", tensor((1, 2**15), 0, 9), *factors, **OURS)
    assert run([4] * (2**15 - 1), **OURS).max() == 0
