"""layer_norm against LayerNorm in exact integers and 64-bit mantissas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer.fixed_point import fraction_bits_for_normalised
from fullint.integer.ops.layer_norm import largest_normalised, normalise

from .oracles import assert_in_range, compute, constant, in_int32, infer, tensor

CHANNELS = [1, 2, 3, 16, 96, 192, 384, 768, 1024, 3072]
UNIT = {"zero_x": 0, "epsilon": 1, "zero_point": 0, "low": -(2**31), "high": 2**31 - 1}


def tokens(rng: np.random.Generator, channels: int, largest: int) -> np.ndarray:
    """Tokens (kinds, channels) within +- largest: ordinary ones and every extreme."""
    ordinary = rng.normal(size=(3, channels)) * [[0.7], [largest / 300], [largest / 3]]
    outlier = ordinary[1].copy()
    outlier[rng.integers(channels)] = largest
    constant_, one_step, one_hot = (np.full(channels, fill) for fill in (largest, 5.0, -largest))
    one_step[-1], one_hot[0] = 6, largest
    ends = rng.choice([-largest, largest], channels)
    halves = np.where(np.arange(channels) < channels // 2, -largest, largest)
    kinds = [*ordinary, outlier, constant_, one_step, one_hot, ends, halves, np.zeros(channels)]
    return np.clip(np.round(np.stack(kinds)), -largest, largest).astype(np.int64)


def exact_normalised(v: np.ndarray, epsilon: int) -> np.ndarray:
    """(C v - sum v) / sqrt(C sum v^2 - (sum v)^2 + epsilon), the sums in exact integers."""
    channels = v.shape[-1]
    result = np.empty(v.shape, np.longdouble)
    for index, token in enumerate(v.tolist()):
        total = sum(token)
        root = channels * sum(value * value for value in token) - total * total + epsilon
        # The quotient to 60 bits behind the point, by the integer square root alone.
        quotients = [
            math.isqrt(((channels * value - total) ** 2 << 120) // root) for value in token
        ]
        signs = np.sign(channels * np.array(token) - total)
        result[index] = np.array(quotients, object).astype(np.longdouble) / 2**60 * signs
    return result


def normalised_by_hand(token: list[int], epsilon: int) -> list[int]:
    """`normalise` of one token in Python integers, in the widths that hardware would use."""
    channels, fraction_bits = len(token), fraction_bits_for_normalised(len(token))
    total = in_int32(sum(token))
    root = channels * sum(value * value for value in token) - total * total + epsilon
    assert 1 <= root <= 2**62
    half_shift = (root.bit_length() - 31) // 2
    m = root >> 2 * half_shift if half_shift >= 0 else root << -2 * half_shift
    mantissa = min(math.isqrt(2**60 // m), 2**15 - 1)
    right = 30 + half_shift - fraction_bits - 15
    result = []
    for value in token:
        centred = in_int32(channels * value - total)
        if right > 0:
            numerator = in_int32(centred + 2 ** (right - 1)) >> right
        else:
            numerator = in_int32(centred << -right)
        assert abs(numerator) <= 2**15
        product = in_int32(max(-(2**15) + 1, min(2**15 - 1, numerator)) * mantissa + 2**14)
        result.append(product >> 15)
    return result


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("largest", [1, 127, 255, 32767, 2**19])
@pytest.mark.parametrize("epsilon", [1, 1000, 2**40 - 1])
def test_normalise_within_one_step_of_exact(channels, largest, epsilon):
    largest = min(largest, (2**31 - 1) // (2 * channels))
    v = tokens(np.random.default_rng(channels), channels, largest)
    result = normalise(v, epsilon)
    exact = exact_normalised(v, epsilon) * 2 ** fraction_bits_for_normalised(channels)
    assert (np.abs(result - exact) <= 1 + 2**-14 * np.abs(exact)).all()
    assert np.abs(result).max() <= largest_normalised(channels) < 2**15
    if channels <= 384:
        assert result.tolist() == [normalised_by_hand(token, epsilon) for token in v.tolist()]


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.integers(1, 70), st.integers(0, 24), st.integers(1, 2**40 - 1))
def test_normalise_of_random_tokens(seed, channels, bits, epsilon):
    rng = np.random.default_rng(seed)
    v = rng.integers(-(2**bits), 2**bits, (3, channels), endpoint=True)
    v[1] = rng.choice([0, 2**bits], channels)
    result = normalise(v, epsilon)
    assert result.tolist() == [normalised_by_hand(token, epsilon) for token in v.tolist()]
    exact = exact_normalised(v, epsilon) * 2 ** fraction_bits_for_normalised(channels)
    assert (np.abs(result - exact) <= 1 + 2**-14 * np.abs(exact)).all()


def test_one_value_far_from_all_others_for_every_number_of_channels():
    for channels in (*range(2, 300), 383, 384, 385, 767, 768, 1023, 1024, 1025, 4096, 4097):
        v = np.zeros((3, channels), np.int64)
        v[0, 0], v[1, -1], v[2, 0] = 1, -(2**15), (2**31 - 1) // channels
        result = normalise(v, 1)
        assert np.abs(result).max() <= largest_normalised(channels) < 2**15


def parameters(
    gamma: np.ndarray, beta: np.ndarray, output_scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Multiplier, bias and shift: for every channel the largest shift that fits."""
    real = gamma / output_scale / 2.0 ** fraction_bits_for_normalised(len(gamma))
    shift = np.full(len(gamma), 30)
    for _ in range(30):
        multiplier = np.round(real * 2.0**shift)
        bias = np.round(beta / output_scale * 2.0**shift)
        worst = np.abs(multiplier) * 2**15 + np.abs(bias) + 2.0**shift / 2
        shift -= (np.abs(multiplier) >= 2**15) | (worst >= 2**31)
    return multiplier.astype(np.int64), bias.astype(np.int64), shift


@pytest.mark.parametrize("channels", CHANNELS)
def test_eight_bit_codes_are_at_most_one_off(channels):
    """Against real LayerNorm rounded once, ordinary tokens and extremes; few are off at all."""
    rng = np.random.default_rng(channels)
    wrong = total = 0
    for _ in range(25):
        zero_x = int(rng.integers(-128, 128))
        largest = int(rng.choice([127, 32767]))
        channel_shift = rng.integers(0, 4, channels)
        x = tokens(rng, channels, largest) + zero_x
        v = (x - zero_x) << channel_shift
        gamma = rng.normal(size=channels) * rng.choice([0.1, 1, 1, 1, 8], channels)
        beta = rng.normal(size=channels)
        scale = float(np.abs(gamma).max() * rng.uniform(2, 5) + np.abs(beta).max()) / 128
        zero_point = int(rng.integers(-20, 20))
        epsilon = int(rng.choice([1, 300]))
        factors = parameters(gamma, beta, scale)
        attributes = {
            "zero_x": zero_x,
            "epsilon": epsilon,
            "zero_point": zero_point,
            "low": -128,
            "high": 127,
        }
        type_ = infer(
            "layer_norm",
            tensor((len(x), channels), int(x.min()), int(x.max())),
            constant(channel_shift),
            *map(constant, factors),
            **attributes,
        )
        codes = compute("layer_norm", x[None], channel_shift, *factors, **attributes)
        assert_in_range(codes, type_)
        real = (exact_normalised(v, epsilon) * gamma + beta) / scale
        expected = np.clip(np.floor(real + 0.5) + zero_point, -128, 127)
        assert np.abs(codes[0] - expected).max() <= 1
        wrong += int((codes[0] != expected).sum())
        total += codes.size
    assert wrong <= 0.005 * total


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(0, 3), st.integers(1, 2**40 - 1))
def test_constant_token_gives_beta(seed, channels, shift, epsilon):
    rng = np.random.default_rng(seed)
    value, zero_x, zero_point = (int(n) for n in rng.integers(-128, 128, 3))
    multiplier = rng.integers(-(2**15) + 1, 2**15, channels)
    bias = rng.integers(-(2**20), 2**20, channels)
    codes = compute(
        "layer_norm",
        np.full((1, 2, channels), value),
        np.full(channels, shift),
        multiplier,
        bias,
        np.full(channels, 13),
        zero_x=zero_x,
        epsilon=epsilon,
        zero_point=zero_point,
        low=-128,
        high=127,
    )
    beta = [(int(b) + 2**12) // 2**13 + zero_point for b in bias]
    assert (codes == np.clip(beta, -128, 127)).all()


def test_channel_shifts_are_multiplications_of_the_input():
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (2, 5, 48))
    channel_shift = rng.integers(0, 4, 48)
    factors = parameters(np.ones(48), np.zeros(48), 2**-13)
    shifted = compute("layer_norm", x, channel_shift, *factors, **UNIT | {"zero_x": 3})
    multiplied = (x - 3) * 2**channel_shift
    plain = compute("layer_norm", multiplied, np.zeros(48, int), *factors, **UNIT)
    assert (shifted == plain).all()


@pytest.mark.parametrize("channels", [3, 192, 768])
def test_neither_shift_nor_scale_of_the_input_matters(channels):
    """Invariances of LayerNorm; scaling by a power of four keeps even the mantissa."""
    rng = np.random.default_rng(0)
    x = rng.integers(-2000, 2000, (1, 4, channels))
    factors = parameters(np.ones(channels), np.zeros(channels), 2.0**-10)
    zeros = np.zeros(channels, int)
    expected = compute("layer_norm", x, zeros, *factors, **UNIT)
    shifted = compute("layer_norm", x + 12_345, zeros, *factors, **UNIT)
    assert (shifted == expected).all()
    scaled = compute("layer_norm", x * 16, zeros, *factors, **UNIT | {"epsilon": 256})
    assert (scaled == expected).all()


def test_large_epsilon_shrinks_the_result():
    """With epsilon as large as the variance the result is smaller by the square root of two."""
    x = np.array([[[-1000, 1000, -1000, 1000]]])
    ones, zeros = np.ones(4, int), np.zeros(4, int)
    one = compute("layer_norm", x, zeros, ones, zeros, zeros, **UNIT)
    variance = 4 * 4 * 1000**2
    two = compute("layer_norm", x, zeros, ones, zeros, zeros, **UNIT | {"epsilon": variance})
    assert np.abs(one - [-(2**13), 2**13, -(2**13), 2**13]).max() <= 1
    assert np.abs(np.abs(two) - 2**13 / math.sqrt(2)).max() <= 1.5


class TestTypeRule:
    @staticmethod
    def infer_with(x=None, **changes):
        """A good operation on 4 channels, but for the changes."""
        arrays = {
            "channel_shift": [0] * 4,
            "multiplier": [1] * 4,
            "bias": [0] * 4,
            "shift": [0] * 4,
        }
        arrays |= {name: value for name, value in changes.items() if name in arrays}
        attributes = {
            "zero_x": 0,
            "epsilon": 1,
            "zero_point": 0,
            "low": -128,
            "high": 127,
        }
        attributes |= {name: value for name, value in changes.items() if name in attributes}
        operands = [constant(values) for values in arrays.values()]
        return infer("layer_norm", x or tensor((2, 4), -128, 127), *operands, **attributes)

    def test_accepts(self):
        assert self.infer_with().shape == (2, 4)
        assert self.infer_with(low=0, high=255).storage == "uint8"

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"epsilon": 0}, "epsilon"),
            ({"epsilon": 2**40}, "epsilon"),
            ({"shift": [0, 0, 0, 31]}, "shift must lie"),
            ({"shift": [-1, 0, 0, 0]}, "shift must lie"),
            ({"channel_shift": [16, 0, 0, 0]}, "channel_shift"),
            ({"channel_shift": [-1, 0, 0, 0]}, "channel_shift"),
            ({"bias": [0] * 3}, "parameters of shape"),
            ({"multiplier": [[1] * 4]}, "parameters of shape"),
            ({"multiplier": [1, 2**15, 1, 1]}, "affine stage"),
            ({"multiplier": [1, -(2**31), 1, 1]}, "affine stage"),
            ({"bias": [0, 2**31 - 1, 0, 0]}, "affine stage"),
            ({"bias": [0, 0, -(2**31), 0]}, "affine stage"),
            ({"shift": [30] * 4, "bias": [2**31 - 2**29] * 4}, "affine stage"),
            ({"zero_point": 2**31 - 1}, "zero point"),
            ({"zero_x": 2**31}, "centred values"),
            ({"x": tensor((2, 4), -(2**28), 2**28)}, "centred values"),
            ({"channel_shift": [15, 0, 0, 0], "x": tensor((2, 4), 0, 2**14)}, "centred values"),
            ({"low": 1, "high": 0}, "empty range"),
            ({"high": 2**31}, "32-bit"),
        ],
    )
    def test_refuses(self, changes, message):
        with pytest.raises(FullintError, match=message):
            self.infer_with(**changes)

    def test_parameters_must_be_constant(self):
        good = constant([0] * 4)
        for position in range(4):
            operands = [good] * 4
            operands[position] = tensor((4,), 0, 0)
            with pytest.raises(FullintError, match="computed"):
                infer("layer_norm", tensor((2, 4), 0, 9), *operands, **UNIT | {"high": 9, "low": 0})

    @given(st.integers(0, 2**32), st.integers(1, 48))
    def test_affine_stage_stays_in_int32_where_it_is_accepted(self, seed, channels):
        rng = np.random.default_rng(seed)
        multiplier = rng.integers(-(2**15) + 1, 2**15, channels)
        bias = rng.integers(-(2**31) + 1, 2**31 - 1, channels) >> rng.integers(0, 10)
        shift = rng.integers(0, 31, channels)
        zeros = np.zeros(channels, int)
        try:
            infer(
                "layer_norm",
                tensor((9, channels), -32767, 32767),
                *map(constant, (zeros, multiplier, bias, shift)),
                **UNIT,
            )
        except FullintError:
            return
        v = tokens(rng, channels, 32767)
        v = np.concatenate(
            [v, np.diag(np.full(channels, 32767)), np.diag(np.full(channels, -32767))]
        )
        for token in normalise(v, 1).tolist():
            for value, m, b, s in zip(token, multiplier, bias, shift, strict=True):
                in_int32(in_int32(in_int32(value * int(m)) + int(b)) + 2 ** int(s) // 2)
