"""shiftmax: attention weights by shifts and one division a row, the softmax of I-ViT.

After arXiv 2207.01405, Algorithm 1 (Shiftmax): e = ShiftExp(x - max), F = floor((2^31 - 1) / sum),
weights floor(e F / 2^(31 - k)) in steps of 2^-k. The product fits 31 bits by itself, as no e is
above the sum.

Where the paper is silent or wrong, this is decided:

* Input scale: distances below the row's maximum are brought to steps of 2^-fraction_bits nats
  (natural = 1, as published: times 1.4375 for log2(e)) or octaves (0: log2(e) is part of the
  constant factor, which costs nothing), so that the division by x0 is a shift.
* Sum: the published code clamps it to 2^31 - 1, which makes the weights of long rows add up to more
  than one. Here the exponentials of the whole row fit, or the type rule refuses.
* Precision of F: it is 2^31 / sum cut off, so that `fraction_bits` + `octaves` take from it what
  they give: for 197 equal scores 41 instead of 41.6 with the published n = 15 at steps of 1/8, 166
  instead of 166.3 with n = 12 at steps of 1/16.
* rounding = 0 cuts weights off, as published: in 7 bits (int8, as its TVM kernels have) a row of
  more than 128 equal scores is all zero. rounding = 1 rounds, for one addition. The published
  accuracy is of 15 bits.
"""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer.ops.registry import register
from fullint.integer.shift_exponential import in_octaves, shift_exponential
from fullint.integer.softmax_parts import check_scores, distances_below_maximum
from fullint.integer.types import INT32_HIGH, Operand, TensorType


def infer(
    scores: Operand,
    pre_shift: Operand,
    multiplier: Operand,
    shift: Operand,
    *,
    fraction_bits: int,
    octaves: int,
    natural: int,
    rounding: int,
    output_bits: int,
) -> TensorType:
    """Weights 0..2^output_bits - 1 in steps of 2^-output_bits.

    Exponentials are at most 2^(fraction_bits + octaves), twice that while they are shifted; a row
    of them sums to at most INT32_HIGH.
    """
    check_scores(scores, pre_shift, multiplier, shift)
    if not 0 <= fraction_bits <= 10 or not 1 <= octaves <= 20:
        raise FullintError("fraction_bits must lie in [0, 10], octaves in [1, 20]")
    if natural not in (0, 1) or rounding not in (0, 1) or not 4 <= output_bits <= 15:
        raise FullintError("natural and rounding are 0 or 1, output_bits from 4 to 15")
    length = scores.shape[-1]
    # The second only for rows of one or two, whose exponentials are shifted with a bit more.
    if max(length, 2) << (fraction_bits + octaves) > INT32_HIGH:
        raise FullintError(
            f"{length} exponentials of up to 2^{fraction_bits + octaves} could sum beyond int32"
        )
    row_sum = (1 << output_bits) + (rounding * length + 1) // 2
    return TensorType(scores.shape, 0, (1 << output_bits) - 1, row_sum=row_sum)


def compute(
    scores: np.ndarray,
    pre_shift: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    *,
    fraction_bits: int,
    octaves: int,
    natural: int,
    rounding: int,
    output_bits: int,
) -> np.ndarray:
    """min(floor(e F / 2^(31 - k) + rounding / 2), 2^k - 1), k = output_bits.

    e F is at most 2^31 - 1; with half a step it fits 32 bits without sign.
    """
    below = in_octaves(distances_below_maximum(scores, pre_shift, multiplier, shift), natural)
    exponentials = shift_exponential(below, fraction_bits, octaves)
    factor = INT32_HIGH // exponentials.sum(axis=-1, keepdims=True)
    half = rounding << (30 - output_bits)
    weights = (exponentials * factor + half) >> (31 - output_bits)
    return np.minimum(weights, (1 << output_bits) - 1)


register("shiftmax", infer=infer, compute=compute)
