"""exponentials: an attention row as uint8 exponentials relative to its maximum, not yet divided.

Every row uses all its 8 bits, and no element is divided: `weighted_average` divides once a row and
output channel, by the sum of these very codes, so that the weights it applies sum to one exactly
whatever their rounding.
"""

from __future__ import annotations

import numpy as np

from fullint.integer.ops.registry import register
from fullint.integer.softmax_parts import check_scores, distances_below_maximum
from fullint.integer.softmax_parts import exponentials as exponentials_of
from fullint.integer.types import Operand, TensorType

# 255 at the maximum, with 8 more bits for one rounding at the end.
AMPLITUDE = 255 << 8


def infer(scores: Operand, pre_shift: Operand, multiplier: Operand, shift: Operand) -> TensorType:
    """Codes 0..255; a row sums to at most 255 times its length."""
    check_scores(scores, pre_shift, multiplier, shift)
    return TensorType(scores.shape, 0, 255, row_sum=255 * scores.shape[-1])


def compute(
    scores: np.ndarray, pre_shift: np.ndarray, multiplier: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """255 exp(score - maximum), within one code for an exact distance; 255 at the maximum."""
    distances = distances_below_maximum(scores, pre_shift, multiplier, shift)
    return (exponentials_of(distances, AMPLITUDE) + 128) >> 8


register("exponentials", infer=infer, compute=compute)
