"""AdaLog: powers of a base 2^(-q / 37) whose numerator q is searched (arXiv 2407.12951, eq. 8 to
12). q = 37 is log2, q = 18.5 log sqrt2.

A power is a shift and an entry of a table: 2^(-k q / 37) = 2^-floor(k q / 37) T[k q mod 37], T[j] =
2^(-j / 37) in steps of 1 / (2^(num_bits + 1) - 2). The values are the published ones but for zero,
which there is one value more than the codes; here zero takes the last code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fullint.quantization.grids.level import (
    LARGEST_ACTIVATION_LEVEL,
    LARGEST_ATTENTION_LEVEL,
    LevelGrid,
    level_grid,
)

DENOMINATOR = 37


def adalog_grid(num_bits: int, numerators: Sequence[float]) -> LevelGrid:
    """Attention weights, from one down: one base, or one for each head."""
    pairs = [_powers(num_bits, numerator) for numerator in numerators]
    powers, thresholds = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    if len(numerators) == 1:
        powers, thresholds = powers[0], thresholds[0]
    return level_grid(powers, thresholds, largest_level=LARGEST_ATTENTION_LEVEL)


def adalog_activation_grid(
    num_bits: int, numerator: float, *, largest: float, shift: float
) -> LevelGrid:
    """largest * power - shift: outputs of an activation function that are at least -shift.

    The levels carry the shift, rounded to their steps, so that no bias behind them has to.
    """
    powers, thresholds = _powers(num_bits, numerator)
    step = largest / LARGEST_ACTIVATION_LEVEL
    levels = torch.round(powers * LARGEST_ACTIVATION_LEVEL) - round(shift / step)
    return LevelGrid(
        levels.long(), thresholds * largest - shift, torch.tensor(step, dtype=torch.float64)
    )


def _powers(num_bits: int, numerator: float) -> tuple[Tensor, Tensor]:
    """Zero and the powers, ascending to 1, and the thresholds, which round in the exponent."""
    codes = torch.arange(2**num_bits - 2, -1, -1, dtype=torch.float64)
    exponents = codes * numerator / DENOMINATOR
    shifts = torch.floor(exponents)
    entries = 2 ** (num_bits + 1) - 2
    table = torch.round(torch.exp2(shifts - exponents) * entries) / entries
    powers = torch.cat([torch.zeros(1, dtype=torch.float64), torch.exp2(-shifts) * table])
    return powers, torch.exp2(-(codes + 0.5) * numerator / DENOMINATOR)
