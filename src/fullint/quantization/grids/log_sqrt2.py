"""log sqrt2: powers of the root of two (RepQ-ViT, arXiv 2212.08254, eq. 13 to 15)."""

from __future__ import annotations

import torch

from fullint.quantization.grids.level import LARGEST_ATTENTION_LEVEL, LevelGrid, level_grid


def log_sqrt2_grid(num_bits: int, largest: float) -> LevelGrid:
    """largest * 2^(-k/2) for k = 0 .. 2^num_bits - 2, and zero.

    Rounds in the exponent, as the paper: k = round(-2 log2(x / largest)). The published code has
    one value more, zero for all it cannot encode; here zero takes the last code, and what is below
    the smallest power goes to the nearer of that and zero.
    """
    exponents = torch.arange(2**num_bits - 2, -1, -1, dtype=torch.float64) / 2
    reals = torch.cat([torch.zeros(1, dtype=torch.float64), torch.exp2(-exponents)])
    thresholds = torch.exp2(-(exponents + 0.25))
    thresholds[0] = reals[1] / 2
    return level_grid(largest * reals, largest * thresholds, largest_level=LARGEST_ATTENTION_LEVEL)
