"""i_layernorm against Python integers after the paper, exact roots, and float LayerNorm."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer.ops.i_layernorm import newton_square_root

from .oracles import assert_in_range, compute, constant, in_int32, infer, tensor

PAPER = {
    "zero_x": 128,
    "epsilon": 1,
    "fraction_bits": 0,
    "start_bits": 16,
    "iterations": 10,
    "zero_point": 0,
    "low": -128,
    "high": 127,
}
OURS = PAPER | {"fraction_bits": 4, "start_bits": 0, "iterations": 4}


def parameters(channels: int, steps: float = 32, shift: int = 15) -> list[np.ndarray]:
    """Channel shifts 0, `steps` codes a deviation, biases 0."""
    multiplier = round(steps * math.sqrt(channels) * 2.0 ** (shift - 15))
    return [np.full(channels, value) for value in (0, multiplier, 0, shift)]


def run(tokens: np.ndarray, constants: list[np.ndarray], **attributes: int) -> np.ndarray:
    """Tokens (tokens, C) through the operation, checked against its type."""
    x = np.asarray(tokens, dtype=np.int64)[None]
    operand = tensor(x.shape[1:], min(x.min(), 0), max(x.max(), 255))
    type_ = infer("i_layernorm", operand, *map(constant, constants), **attributes)
    result = compute("i_layernorm", x, *constants, **attributes)
    assert_in_range(result, type_)
    return result[0]


def by_hand(token: list[int], constants: list[np.ndarray], attributes: dict) -> list[int]:
    """One token in Python integers; what must fit int32 is checked to."""
    channels = len(token)
    shifts, gamma, beta, right = (values.tolist() for values in constants)
    v = [
        in_int32((x - attributes["zero_x"]) * 2 ** (places + attributes["fraction_bits"]))
        for x, places in zip(token, shifts, strict=True)
    ]
    mean = math.floor((in_int32(sum(v)) + channels // 2) / channels)
    y = [value - mean for value in v]
    variance = sum(value * value for value in y) + attributes["epsilon"]
    start = attributes["start_bits"] or math.ceil(variance.bit_length() / 2)
    root = 2**start
    for _ in range(attributes["iterations"]):
        root = (root + variance // root) // 2
    result = []
    for value, multiplier, bias, places in zip(y, gamma, beta, right, strict=True):
        normalised = in_int32(value * ((2**31 - 1) // root)) // 2**16
        total = in_int32(in_int32(normalised * multiplier + bias) + 2**places // 2)
        code = total // 2**places + attributes["zero_point"]
        result.append(max(attributes["low"], min(attributes["high"], code)))
    return result


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, list[np.ndarray], dict]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    channels = draw(st.sampled_from([1, 2, 3, 8, 33, 192]))
    tokens = np.clip(rng.normal(128, [[0.6], [4], [30], [90]], (4, channels)).round(), 0, 255)
    tokens = np.concatenate(
        [tokens, np.full((1, channels), 255), np.zeros((1, channels)), np.eye(2, channels) * 255]
    ).astype(np.int64)
    constants = [
        rng.integers(0, 4, channels),
        rng.integers(-(2**15) + 1, 2**15, channels),
        rng.integers(-(2**29), 2**29, channels),
        rng.integers(0, 30, channels),
    ]
    changes = {
        "zero_x": draw(st.integers(0, 255)),
        "epsilon": draw(st.sampled_from([1, 1000, 2**40 - 1])),
        "fraction_bits": draw(st.integers(0, 8)),
        "start_bits": draw(st.sampled_from([0, 1, 16, 30])),
        "iterations": draw(st.integers(1, 12)),
        "zero_point": draw(st.integers(-128, 127)),
    }
    return tokens, constants, PAPER | changes


@settings(max_examples=100)
@given(cases())
def test_equals_python_integers(case):
    tokens, constants, attributes = case
    expected = [by_hand(token, constants, attributes) for token in tokens.tolist()]
    assert run(tokens, constants, **attributes).tolist() == expected


@given(value=st.integers(1, 2**61), start_bits=st.integers(0, 30), iterations=st.integers(1, 40))
def test_newton_never_falls_below_the_root(value, start_bits, iterations):
    assert newton_square_root(np.array(value), start_bits, iterations) >= math.isqrt(value)


@given(value=st.integers(1, 2**61) | st.integers(1, 2**20))
def test_four_steps_from_the_leading_one_reach_the_root(value):
    root = int(newton_square_root(np.array(value), 0, 4))
    assert root <= math.sqrt(value) * (1 + 1e-7) + 1


def test_ten_published_steps_do_not_reach_small_roots():
    assert int(newton_square_root(np.array(100), 16, 10)) == 64
    assert int(newton_square_root(np.array(2**20), 16, 10)) == 2**10


def test_constant_tokens_give_beta():
    constants = parameters(192)
    constants[2] = np.arange(192) << 14
    for code in (0, 128, 255):
        found = run(np.full((1, 192), code), constants, **OURS)
        assert np.array_equal(found[0], np.minimum((np.arange(192) + 1) // 2, 127))


def test_sixteen_bits():
    """The stream of most recipes: 16-bit codes, no zero point."""
    rng = np.random.default_rng(7)
    x = np.clip(rng.normal(0, 3000, (40, 192)).round(), -(2**15), 2**15 - 1).astype(np.int64)
    real = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    for attributes in (PAPER, PAPER | {"start_bits": 0, "iterations": 4}):
        found = run(x, parameters(192), **(attributes | {"zero_x": 0, "low": -512, "high": 511}))
        assert abs(found / 32 - real).max() < 0.5 / 32 + 0.005


@pytest.mark.parametrize(
    ("attributes", "deviation", "root"),
    [
        (PAPER, 2, 0.70),
        (OURS, 2, 0.013),
        (PAPER, 8, 0.085),
        (OURS, 8, 0.012),
        (PAPER, 30, 0.020),
        (OURS, 30, 0.012),
    ],
)
def test_errors_on_gaussian_codes(attributes, deviation, root):
    """Root mean square error of the normalised value, in deviations, with an output of 1/32: what
    no change may worsen. The published start and mean are for wide inputs only.
    """
    rng = np.random.default_rng(5)
    codes = np.clip(rng.normal(128.3, deviation, (300, 192)).round(), 0, 255).astype(np.int64)
    found = run(codes, parameters(192), **(attributes | {"low": -512, "high": 511})) / 32
    real = (codes - codes.mean(-1, keepdims=True)) / codes.std(-1, keepdims=True)
    assert np.sqrt(((found - real) ** 2).mean()) < root


GOOD = {"channel_shift": 0, "multiplier": 127, "bias": 0, "shift": 10}


@pytest.mark.parametrize(
    ("constants", "attributes", "sentence"),
    [
        ({"channel_shift": 16}, {}, "channel_shift must lie"),
        ({"multiplier": 2**15}, {}, "affine stage"),
        ({"multiplier": 2**15 - 1, "bias": 2**31 - 2**29}, {}, "affine stage"),
        ({"shift": 31}, {}, "shift must lie"),
        ({"bias": [1, 2]}, {}, "parameters of shape"),
        ({"channel_shift": 15}, {"fraction_bits": 8}, "sums over the channels"),
        ({}, {"epsilon": 0}, "epsilon must lie"),
        ({}, {"fraction_bits": 9}, "fraction_bits must lie"),
        ({}, {"start_bits": 31}, "start_bits in"),
        ({}, {"iterations": 0}, "iterations in"),
        ({}, {"zero_point": 2**31}, "beyond int32"),
    ],
)
def test_refusals(constants, attributes, sentence):
    operands = [
        constant(np.full(3, value) if isinstance(value, int) else value)
        for value in (GOOD | constants).values()
    ]
    with pytest.raises(FullintError, match=sentence):
        infer("i_layernorm", tensor((5, 3), 0, 255), *operands, **(PAPER | attributes))
