"""Twin: two uniform halves whose steps differ by a power of two (PTQ4ViT, arXiv 2111.12293, eq. 8
to 10).

A code is one bit for the half and num_bits - 1 for the value. The paper switches halves at a fixed
point; here a value takes the nearest level of either half, which is never further away.
"""

from __future__ import annotations

import math

import torch

from fullint.quantization.grids.level import (
    LARGEST_ACTIVATION_LEVEL,
    LARGEST_ATTENTION_LEVEL,
    LevelGrid,
    nearest_level_grid,
)


def twin_grid(num_bits: int, exponent: int) -> LevelGrid:
    """Attention weights: steps of 1 / (2^(num_bits - 1) - 1) up to one, and steps 2^exponent finer
    up to 2^-exponent. `exponent` from 0 to `largest_twin_exponent`.
    """
    codes = torch.arange(2 ** (num_bits - 1))
    step = 1 / (int(codes[-1]) << exponent)
    return nearest_level_grid(torch.cat([codes, codes << exponent]), step)


def twin_activation_grid(num_bits: int, exponent: int, *, positive_scale: float) -> LevelGrid:
    """Outputs of an activation function: 2^(num_bits - 1) codes from zero in steps of
    `positive_scale`, as many below zero in steps 2^exponent finer.
    """
    codes = torch.arange(2 ** (num_bits - 1))
    levels = torch.cat([-codes - 1, codes << exponent])
    return nearest_level_grid(levels, positive_scale / 2**exponent)


def largest_twin_exponent(num_bits: int) -> int:
    """Of attention weights."""
    return int(math.log2(LARGEST_ATTENTION_LEVEL / (2 ** (num_bits - 1) - 1)))


def largest_twin_activation_exponent(num_bits: int) -> int:
    """Of outputs of an activation function."""
    return int(math.log2(LARGEST_ACTIVATION_LEVEL / (2 ** (num_bits - 1) - 1)))
