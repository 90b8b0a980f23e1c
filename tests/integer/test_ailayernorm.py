"""ailayernorm against hand-computed tokens, Python integers, and float LayerNorm."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer.ops.ailayernorm import (
    compressed_square,
    fraction_bits,
    reciprocal_square_root,
)

from .oracles import assert_in_range, compute, constant, infer, tensor

UNIT = {"zero_x": 128, "epsilon": 16, "ranges": 2, "zero_point": 0, "low": -128, "high": 127}


def parameters(channels: int, gain: int = 64, shift: int | None = None) -> list[np.ndarray]:
    """Channel shifts 0, multipliers `gain`, biases 0; by default 8 codes a deviation."""
    shift = fraction_bits(channels) + 3 if shift is None else shift
    return [np.full(channels, value) for value in (0, gain, 0, shift)]


def run(tokens: np.ndarray, constants: list[np.ndarray], **changes: object) -> np.ndarray:
    """Tokens (tokens, C) of uint8 codes through the operation, checked against its type."""
    x = np.asarray(tokens, dtype=np.int64)[None]
    attributes = UNIT | changes
    operand = tensor(x.shape[1:], 0, 255)
    type_ = infer("ailayernorm", operand, *map(constant, constants), **attributes)
    result = compute("ailayernorm", x, *constants, **attributes)
    assert_in_range(result, type_)
    return result[0]


def half_up(numerator: int, bits: int) -> int:
    return (numerator + (1 << bits >> 1)) >> bits if bits >= 0 else numerator << -bits


def by_hand(token: list[int], constants: list[np.ndarray], attributes: dict) -> list[int]:
    """One token in Python integers."""
    channels = len(token)
    a, gamma, beta, shift = (values.tolist() for values in constants)
    exponent = 14 + (channels - 1).bit_length()
    inverse = 2**exponent // channels
    total = second = 0
    for x, places in zip(token, a, strict=True):
        centred = x - attributes["zero_x"]
        size = abs(centred)
        step = 16 if size >= 64 else 4 if size >= 16 or attributes["ranges"] == 2 else 1
        total += centred << places
        second += (min(int(size / step + 0.5), 15) * step) ** 2 << 2 * places
    mean = half_up(total * inverse, exponent - 2)
    variance = max(half_up(second * inverse, exponent - 4) - mean * mean, 0) + attributes["epsilon"]
    half = (variance.bit_length() - 7) // 2
    index = variance << 1 if half < 0 else variance >> (2 * half + 1)
    mantissa = round(2**11 / math.sqrt(2 * index + 1))
    result = []
    for x, places, multiplier, bias, right in zip(token, a, gamma, beta, shift, strict=True):
        centred = ((x - attributes["zero_x"]) << places + 2) - mean
        numerator = half_up(centred, 3 + half - fraction_bits(channels))
        normalised = half_up(max(-2047, min(2047, numerator)) * mantissa, 8)
        y = half_up(normalised * multiplier + bias, right) + attributes["zero_point"]
        result.append(max(attributes["low"], min(attributes["high"], y)))
    return result


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, list[np.ndarray], dict]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    channels = draw(st.sampled_from([1, 2, 3, 8, 33, 192, 384]))
    tokens = np.clip(rng.normal(128, [[0.6], [4], [30], [90]], (4, channels)).round(), 0, 255)
    tokens = np.concatenate(
        [tokens, np.full((1, channels), 255), np.zeros((1, channels)), np.eye(2, channels) * 255]
    ).astype(np.int64)
    constants = [
        rng.integers(0, 4, channels),
        rng.integers(-127, 128, channels),
        rng.integers(-(2**18) + 1, 2**18, channels),
        np.full(channels, draw(st.integers(0, 15))),
    ]
    changes = {
        "zero_x": draw(st.integers(0, 255)),
        "epsilon": draw(st.sampled_from([16, 100, 2**30 - 1])),
        "ranges": draw(st.sampled_from([2, 3])),
        "zero_point": draw(st.integers(-128, 127)),
    }
    return tokens, constants, changes


@settings(max_examples=60)
@given(cases())
def test_equals_python_integers(case):
    tokens, constants, changes = case
    expected = [by_hand(token, constants, UNIT | changes) for token in tokens.tolist()]
    assert run(tokens, constants, **changes).tolist() == expected


def test_compress_by_hand():
    sizes = np.array([0, 1, 2, 5, 6, 15, 16, 61, 62, 63, 64, 71, 72, 247, 248, 255])
    roots = np.array([0, 0, 4, 4, 8, 16, 16, 60, 60, 60, 64, 64, 80, 240, 240, 240])
    assert np.array_equal(compressed_square(sizes, 2), roots**2)
    roots[:6] = sizes[:6]
    assert np.array_equal(compressed_square(sizes, 3), roots**2)


def test_reciprocal_square_root_is_within_one_percent():
    values = np.unique(np.geomspace(16, 2**30, 20000).astype(np.int64))
    mantissa, exponent = reciprocal_square_root(values)
    assert mantissa.min() == 128 and mantissa.max() == 254
    assert abs(mantissa / 2.0**exponent * np.sqrt(values) - 1).max() < 0.01


@pytest.mark.parametrize("deviation", [9, 11, 12.5])
def test_a_channel_far_from_all_others_is_not_cut_off(deviation):
    """One of 192 can be 13.8 deviations away; real models have some beyond 8, whatever mantissa the
    token's root has.
    """
    others = np.resize([-1, 1], 191)
    far = math.sqrt(deviation**2 / (1 - deviation**2 / 192))
    for step in (4, 5, 6, 7, 8):
        token = np.rint(128 + step * np.append(others, far)).astype(np.int64)[None]
        real = (token - token.mean()) / token.std()
        found = run(token, parameters(192, shift=fraction_bits(192) + 3), ranges=3) / 8
        assert abs(found[0, -1] / real[0, -1] - 1) < 0.2  # its square has 4 bits


def test_constant_tokens_give_beta():
    constants = parameters(192)
    constants[2] = np.arange(192) << constants[3][0] >> 1
    for code in (0, 128, 255):
        found = run(np.full((1, 192), code), constants, high=127)
        assert abs(found[0] - np.minimum(np.arange(192) / 2, 127)).max() <= 1


def float_error(deviation: float, ranges: int, largest_shift: int) -> float:
    """Root mean square error of the normalised value, Gaussian codes, 384 channels."""
    rng = np.random.default_rng(5)
    shifts = rng.integers(0, largest_shift + 1, 384)
    codes = np.clip(rng.normal(128, deviation, (500, 384)).round(), 0, 255).astype(np.int64)
    constants = [shifts, *parameters(384, 127, fraction_bits(384) + 2)[1:]]
    found = run(codes, constants, ranges=ranges, low=-128, high=127) / (127 / 4)
    real = (codes - 128) * 2.0**shifts
    real = (real - real.mean(-1, keepdims=True)) / real.std(-1, keepdims=True)
    inside = abs(real) < 3.9  # beyond, the 8-bit output saturates
    return float(np.sqrt(((found - real)[inside] ** 2).mean()))


@pytest.mark.parametrize(
    ("deviation", "largest_shift", "two_ranges", "three_ranges"),
    [(5, 0, 0.115, 0.028), (20, 0, 0.026, 0.020), (60, 0, 0.014, 0.014), (20, 3, 0.024, 0.019)],
)
def test_errors_on_gaussian_codes(deviation, largest_shift, two_ranges, three_ranges):
    """Measured; what no change may worsen. The third range mends narrow channels."""
    assert float_error(deviation, 2, largest_shift) < two_ranges
    assert float_error(deviation, 3, largest_shift) < three_ranges


GOOD = {"channel_shift": 0, "multiplier": 127, "bias": 0, "shift": 10}


@pytest.mark.parametrize(
    ("constants", "attributes", "sentence"),
    [
        ({"channel_shift": 4}, {}, "channel_shift must lie"),
        ({"multiplier": -128}, {}, "multiplier must lie"),
        ({"bias": 2**18}, {}, "bias must lie"),
        ({"shift": 16}, {}, "shift must lie"),
        ({"shift": [1, 2, 1]}, {}, "same for all channels"),
        ({"bias": [1, 2]}, {}, "parameters of shape"),
        ({}, {"zero_x": -1}, "at most 255 from their zero point"),
        ({}, {"epsilon": 15}, "epsilon must lie"),
        ({}, {"ranges": 4}, "ranges is 2"),
        ({}, {"zero_point": 200}, "include their zero point"),
        ({}, {"high": 500}, "8-bit codes"),
    ],
)
def test_refusals(constants, attributes, sentence):
    operands = [
        constant(np.full(3, value) if isinstance(value, int) else value)
        for value in (GOOD | constants).values()
    ]
    with pytest.raises(FullintError, match=sentence):
        infer("ailayernorm", tensor((5, 3), 0, 255), *operands, **(UNIT | attributes))
