"""Exact results of the operations whose documentation leaves them a margin.

They are the specification that engines, exported graphs and hardware equal bit for bit, and that
saved models were measured with. A change here changes every saved model: raise the schema version.
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from fullint.integer import fixed_point

from .oracles import compute


def scattered(shape: tuple[int, ...], low: int, high: int, seed: int = 1) -> np.ndarray:
    """Values spread over a range by a multiplicative hash: the same in every version of NumPy."""
    count = np.arange(int(np.prod(shape)), dtype=np.int64) + 1000 * seed
    mixed = (count * 2654435761 % 2**32) >> 7
    return (low + mixed % (high - low + 1)).reshape(shape)


def checksum(values: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(values, dtype="<i8").tobytes())


FACTOR = tuple(np.array([n]) for n in (2, 21_001, 14))
SCORES = scattered((2, 3, 40, 197), -20_000, 20_000)
TOKENS = scattered((2, 50, 192), -20_000, 20_000)
CHANNEL = scattered((192,), -(2**15) + 1, 2**15 - 1)
TOKEN_GRID = {"zero_x": 7, "epsilon": 12_345, "zero_point": -3, "low": -(2**15), "high": 2**15 - 1}
AVERAGE = {"zero_v": 5, "value_bits": 8, "fraction_bits": 6}


def softmax_of(kind: str, **attributes: int) -> np.ndarray:
    return compute(kind, SCORES, *FACTOR, **attributes)


CASES = {
    "requantize 16": lambda: fixed_point.requantize(
        scattered((9999,), -(2**18), 2**18), *FACTOR, intermediate_bits=16
    ),
    "requantize 32": lambda: fixed_point.requantize(
        scattered((9999,), -(2**24), 2**24),
        np.array([0]),
        np.array([1_234_567_891]),
        np.array([40]),
        intermediate_bits=32,
    ),
    "log2_fixed": lambda: fixed_point.log2_fixed(scattered((9999,), 1, 2**24), 12),
    "softmax": lambda: softmax_of("softmax"),
    "exponentials": lambda: softmax_of("exponentials"),
    "log2_softmax": lambda: softmax_of("log2_softmax", rounding=512),
    "table_softmax": lambda: compute(
        "table_softmax", SCORES, *FACTOR, scattered((3, 16 * 1024), 0, 2**14)
    ),
    "layer_norm": lambda: compute(
        "layer_norm",
        TOKENS,
        scattered((192,), 0, 3),
        CHANNEL,
        CHANNEL * 64,
        np.full(192, 10),
        **TOKEN_GRID,
    ),
    "weighted_average": lambda: compute(
        "weighted_average",
        scattered((2, 3, 40, 197), 0, 255),
        scattered((2, 3, 197, 64), -128, 127),
        **AVERAGE,
    ),
}
FROZEN = {
    "requantize 16": 0xCEC6BD87,
    "requantize 32": 0x2E240855,
    "log2_fixed": 0x222B16C4,
    "softmax": 0xAB5BF294,
    "exponentials": 0x5F8043ED,
    "log2_softmax": 0xE04857CD,
    "table_softmax": 0x18B34736,
    "layer_norm": 0xC91106A8,
    "weighted_average": 0x65B34F61,
}


@pytest.mark.parametrize("case", CASES)
def test_results_are_what_they_always_were(case):
    assert checksum(CASES[case]()) == FROZEN[case]
