"""table_softmax: attention weights from any set of levels, looked up by the logarithm of a weight.

Every published grid of attention weights (uniform, log2, log sqrt2, AdaLog, twin) is a staircase of
the weight, and so of its logarithm: one table per head from -log2(softmax), cut into steps of
2^-10, to the level. The products that follow multiply levels, not codes, so that no grid needs
arithmetic of its own.
"""

from __future__ import annotations

import math

import numpy as np

from fullint.errors import FullintError
from fullint.integer.ops.registry import register
from fullint.integer.softmax_parts import (
    AMPLITUDE_BITS,
    FRACTION_BITS,
    LARGEST_DISTANCE,
    check_scores,
    negative_log2_softmax,
)
from fullint.integer.types import Operand, TensorType

# The logarithm of a weight is a distance, and so is that of a sum, which is below 2^31 in units of
# 2^AMPLITUDE_BITS.
MOST_ENTRIES = LARGEST_DISTANCE + ((31 - AMPLITUDE_BITS) << FRACTION_BITS) + 1


def infer(
    scores: Operand, pre_shift: Operand, multiplier: Operand, shift: Operand, table: Operand
) -> TensorType:
    """Levels of scores (..., heads, M, K) by a table (1 or heads, entries); see `row_sum_bound`."""
    check_scores(scores, pre_shift, multiplier, shift)
    levels = table.values()
    heads = scores.shape[-3] if len(scores.shape) >= 3 else 1
    if levels.ndim != 2 or levels.shape[0] not in (1, heads):
        raise FullintError(
            f"a table of shape {table.shape} for {heads} heads is not (1 or heads, entries)"
        )
    if levels.shape[1] > MOST_ENTRIES:
        raise FullintError(
            f"a table of {levels.shape[1]} entries is longer than the {MOST_ENTRIES} that any "
            "logarithm reaches"
        )
    row_sum = None if table.type.low < 0 else row_sum_bound(levels, scores.shape[-1])
    return TensorType(scores.shape, table.type.low, table.type.high, row_sum=row_sum)


def compute(
    scores: np.ndarray,
    pre_shift: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    table: np.ndarray,
) -> np.ndarray:
    """table[head, L], with L = floor(-log2(softmax(scores)) * 2^FRACTION_BITS) within the table.

    L is within 3 steps plus log2(1.0024 + length / 2^14) of the real number. Weights beyond the
    last entry take the last entry.
    """
    logarithms = negative_log2_softmax(scores, pre_shift, multiplier, shift)
    heads = np.arange(len(table))[:, None, None] if len(table) > 1 else 0
    return table[heads, np.minimum(logarithms, table.shape[-1] - 1)]


def row_sum_bound(levels: np.ndarray, length: int) -> int:
    """Most that a row of levels, none negative, can add up to.

    With c the last level and r the largest (level - c) / weight of any other entry, a row sums to
    at most length * c + r * (the weights' sum). The weights that stand for L, 2^(-L / 1024), exceed
    the exact ones by what `negative_log2_softmax` says: less than 1 % and length / 2^14 of them.
    """
    last = int(levels[:, -1].max())
    weights = np.exp2(-np.arange(levels.shape[-1]) / 2**FRACTION_BITS)
    ratio = max(float(((levels - last) / weights).max()), 0.0)
    bound = length * last + math.ceil(1.01 * ratio * (1 + length / 2**14))
    return min(bound, length * int(levels.max()))


register("table_softmax", infer=infer, compute=compute)
