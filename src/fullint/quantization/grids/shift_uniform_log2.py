"""SULQ, shift-uniform-log2 (I&S-ViT, arXiv 2311.10126, eq. 9 to 11)."""

from __future__ import annotations

import math

import torch

from fullint.quantization.grids.level import LARGEST_ATTENTION_LEVEL, LevelGrid, level_grid


def shift_uniform_log2_grid(num_bits: int, shift: float, largest: float = 1.0) -> LevelGrid:
    """Attention weights 2^round(y) - shift, with y evenly spaced from log2(shift) to log2(largest +
    shift).

    Several codes round to one power, so there are fewer values than codes, and neither zero nor
    one is among them unless the shift is a power of two. The published code clamps to one code
    too many; here there are 2^num_bits.
    """
    lowest, highest = math.log2(shift), math.log2(largest + shift)
    step = (highest - lowest) / (2**num_bits - 1)
    logarithms = lowest + step * torch.arange(2**num_bits, dtype=torch.float64)
    return level_grid(
        torch.exp2(torch.round(logarithms)) - shift,
        torch.exp2(logarithms[:-1] + step / 2) - shift,
        largest_level=LARGEST_ATTENTION_LEVEL,
    )
