"""e2softmax against hand-computed rows, a loop after the paper's algorithm, and float softmax."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer.ops.e2softmax import LEAST_ERROR_QUOTIENTS, PUBLISHED_QUOTIENTS

from .oracles import assert_in_range, compute, constant, infer, tensor

UNIT = tuple(np.array([n]) for n in (0, 1, 0))
PAPER = {
    "zero_point": 0,
    "fraction_bits": 3,
    "natural": 1,
    "group": 1,
    "output_bits": 8,
    "quotients": PUBLISHED_QUOTIENTS,
}


def run(rows: list | np.ndarray, **changes: object) -> np.ndarray:
    """Rows of 8-bit codes through the operation, checked against its type."""
    codes = np.atleast_2d(np.asarray(rows, dtype=np.int64))[None]
    attributes = PAPER | changes
    type_ = infer("e2softmax", tensor(codes.shape[1:], 0, 255), *map(constant, UNIT), **attributes)
    result = compute("e2softmax", codes, *UNIT, **attributes)
    assert_in_range(result, type_)
    weights = 2 ** (15 - result) if attributes["output_bits"] == 4 else result
    assert type_.row_sum is not None and weights.sum(-1).max() <= type_.row_sum
    return result[0]


def log2_exp(below: int, fraction_bits: int, natural: int) -> int:
    octaves = below * (1 + 1 / 2 - 1 / 16 if natural else 1) / 2**fraction_bits
    return min(math.floor(octaves + 0.5), 31)


def algorithm(
    row: list[int], *, fraction_bits: int, natural: int, group: int, output_bits: int, **_: object
) -> list[int]:
    """The paper's loop with one element or group a step, the sum in fractions of 2^-15."""
    maximum, total, stored = 0, 0, []
    for start in range(0, len(row), group):
        part = row[start : start + group]
        previous, maximum = maximum, max(maximum, *part)
        total >>= log2_exp(maximum - previous, fraction_bits, natural)
        for code in part:
            y = min(log2_exp(maximum - code, fraction_bits, natural), 15)
            total += 2 ** (15 - y)
            stored.append((y, maximum))
    k_s = math.floor(math.log2(total / 2**15))
    s = total / 2 ** (15 + k_s) - 1
    result = []
    for y, then in stored:
        k = y + log2_exp(maximum - then, fraction_bits, natural) + k_s
        if output_bits == 4:
            result.append(min(k + (s >= 0.5), 15))
        else:
            quotient = PUBLISHED_QUOTIENTS[int(s >= 0.5)]
            result.append(math.floor(quotient / 2**k + 0.5))
    return result


def test_rows_by_hand():
    assert run([200]).tolist() == [[209]]
    # Two equal scores: S = 2, k = 1: 0.818 / 2.
    assert run([7, 7]).tolist() == [[105, 105]]
    # Three: S = 3 = 2 (1 + 1/2): 0.568 / 2, rounded.
    assert run([0, 0, 0]).tolist() == [[73, 73, 73]]
    # 8 steps below are 1 nat = 1.4375 octaves, exponent 1: S = 3/2, k_s = 0, upper half.
    assert run([100, 92]).tolist() == [[145, 73]]
    # Later maximum: the first exponent is corrected from 0 to 1, the sum shifted from 1 to 1/2.
    assert run([92, 100]).tolist() == [[73, 145]]
    assert run([92, 100], output_bits=4).tolist() == [[2, 1]]


def test_the_sum_of_the_online_form_ignores_slow_rises():
    rising = list(range(0, 200, 2))  # 0.36 octaves a step
    assert run(rising, output_bits=4).tolist() != run(rising, output_bits=4, group=100).tolist()
    assert run(rising, natural=0, fraction_bits=0).tolist() == (
        run(rising, natural=0, fraction_bits=0, group=100).tolist()
    )


ROWS = st.lists(st.integers(0, 255), min_size=1, max_size=70)


@settings(max_examples=150)
@given(
    row=ROWS | st.integers(0, 255).map(lambda code: [code] * 300),
    fraction_bits=st.integers(0, 5),
    natural=st.integers(0, 1),
    group=st.sampled_from([1, 2, 16, 1000]),
    output_bits=st.sampled_from([4, 8]),
)
def test_equals_the_algorithm(row, **attributes):
    assert run(row, **attributes)[0].tolist() == algorithm(row, **attributes)


@given(row=ROWS, zero_point=st.integers(0, 255))
def test_scores_are_scaled_and_clipped(row, zero_point):
    factor = tuple(np.array([n]) for n in (1, 3, 2))
    scores = np.array(row)[None, None] * 3 - 300
    attributes = PAPER | {"zero_point": zero_point}
    half = (scores + 1) >> 1
    codes = np.clip(((half * 3 + 2) >> 2) + zero_point, 0, 255)
    expected = compute("e2softmax", codes, *UNIT, **PAPER)
    assert np.array_equal(compute("e2softmax", scores, *factor, **attributes), expected)


def errors(group: int, **changes: object) -> tuple[float, float, float]:
    """Mean and root mean square of the error of 8-bit weights, and the largest, in 1/256.

    Against float softmax on Gaussian scores of deviation 2 nats, 197 a row.
    """
    rng = np.random.default_rng(3)
    attributes = {"fraction_bits": 3} | changes
    octave = math.log2(math.e) if attributes.get("natural") == 0 else 1.0
    scores = rng.normal(size=(400, 197)) * 2
    codes = np.clip(np.rint(scores * octave * 2 ** attributes["fraction_bits"]) + 128, 0, 255)
    real = np.exp(scores - scores.max(-1, keepdims=True))
    real *= 256 / real.sum(-1, keepdims=True)
    difference = run(codes.astype(np.int64), group=group, **attributes) - real
    return (
        float(difference.mean()),
        float(np.sqrt((difference**2).mean())),
        float(abs(difference).max()),
    )


def test_errors_on_gaussian_scores():
    """Measured (0.99, 0.95, 0.87, 1.06 in root mean square); what no change may worsen."""
    for group, natural, bits, root, worst in (
        (1, 1, 3, 1.00, 48),
        (16, 1, 3, 0.96, 48),
        (197, 1, 3, 0.89, 48),
        (16, 0, 0, 1.08, 49),
    ):
        found = errors(group, natural=natural, fraction_bits=bits)
        assert abs(found[0]) < 0.06 and found[1] < root and found[2] < worst


def test_least_error_constants_are_the_means_of_the_quotient():
    means = [2 * math.log(3 / 2), 2 * math.log(4 / 3)]  # of 1 / (1 + s) over the halves of s
    assert tuple(round(256 * mean) for mean in means) == LEAST_ERROR_QUOTIENTS


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fraction_bits": 6}, "fraction_bits must lie"),
        ({"zero_point": 256}, "zero_point must lie"),
        ({"natural": 2}, "natural is 0 or 1"),
        ({"output_bits": 6}, "output_bits 4 or 8"),
        ({"group": 0}, "group at least 1"),
        ({"quotients": (209,)}, "two numbers"),
        ({"quotients": (209, 256)}, "two numbers"),
    ],
)
def test_refusals(changes, sentence):
    with pytest.raises(FullintError, match=sentence):
        infer("e2softmax", tensor((2, 5), 0, 255), *map(constant, UNIT), **(PAPER | changes))


def test_scores_near_int32_are_refused_before_the_pre_shift():
    factor = [constant([n]) for n in (10, 1, 0)]
    with pytest.raises(FullintError, match="pre-shift could overflow"):
        infer("e2softmax", tensor((2, 5), 2**31 - 9, 2**31 - 1), *factor, **PAPER)


def test_output_fits_what_consumes_it():
    values = tensor((197, 64), -128, 127)
    for bits, kind, attributes in (
        (4, "shift_matmul", {"zero_b": 0}),
        (8, "matmul", {"zero_a": 0, "zero_b": 0}),
    ):
        type_ = infer(
            "e2softmax",
            tensor((197, 197), 0, 255),
            *map(constant, UNIT),
            **(PAPER | {"output_bits": bits}),
        )
        infer(kind, tensor((197, 197), type_.low, type_.high, type_.row_sum), values, **attributes)
