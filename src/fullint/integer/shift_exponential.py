"""ShiftExp: 2^-t by a straight line an octave and a shift, the exponential of I-ViT.

After arXiv 2207.01405, section 3.3 (Algorithm 1): exp(x) = 2^(x log2(e)), log2(e) x as x + x/2 -
x/16, and 2^-r as 1 - r/2 for the fraction r: up to 6.2 % above exact. log2(e) as 1.4375 adds 0.25 %
an octave.

The published code divides by an integer x0 = floor(-1 / scale) to split whole octaves from the
fraction. Here a distance is in steps of 2^-fraction_bits, so that the division is a shift and a
mask, and 1 / scale is not cut off (7 for 6.67, of a scale of 0.15, is 5 % of every exponent).
"""

from __future__ import annotations

import numpy as np


def in_octaves(below: np.ndarray, natural: int) -> np.ndarray:
    """Distances below a maximum in octaves, as they are (natural = 0) or times 1.4375 (1).

    The published x + (x >> 1) - (x >> 4) of x = -below, negative: so both parts are rounded up.
    """
    return below + ((below + 1) >> 1) - ((below + 15) >> 4) if natural else below


def shift_exponential(below: np.ndarray, fraction_bits: int, octaves: int) -> np.ndarray:
    """2^(fraction_bits + octaves) * 2^-t, cut off, for t = below / 2^fraction_bits octaves, at most
    `octaves`: from 2^fraction_bits, for all that is further below, to 2^(fraction_bits + octaves).

    Intermediates: less than 2^(fraction_bits + octaves + 1).
    """
    below = np.minimum(below, octaves << fraction_bits)
    mantissa = (2 << fraction_bits) - (below & ((1 << fraction_bits) - 1))
    return (mantissa << octaves) >> ((below >> fraction_bits) + 1)
