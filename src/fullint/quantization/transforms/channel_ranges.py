"""Ranges of single channels for uniform codes, from a sample of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.observers.percentile_list import PERCENTILES

FACTORS = tuple(1 - 0.03 * step for step in range(27))
ROUNDS = 2


def percentile_ranges(rows: Tensor, num_bits: int) -> tuple[Tensor, Tensor]:
    """Lower and upper ends (channels,), float64, of rows (count, channels): the pair of quantiles
    1 - p, p of RepQ-ViT's list with the least squared error.
    """
    quantiles = torch.tensor(PERCENTILES, dtype=rows.dtype)
    highs = torch.quantile(rows, quantiles, dim=0).double()
    lows = torch.quantile(rows, 1 - quantiles, dim=0).double()
    return _best(rows, num_bits, lows, highs)


def dual_clipping_ranges(rows: Tensor, num_bits: int) -> tuple[Tensor, Tensor]:
    """Lower and upper ends (channels,), float64, of rows (count, channels): both searched in turn
    for the least squared error, from the extremes towards the median.
    """
    lowest, highest = (end.double() for end in torch.aminmax(rows, dim=0))
    median = rows.median(dim=0).values.double()
    factors = torch.tensor(FACTORS, dtype=torch.float64)[:, None]
    lows, highs = (median + (end - median) * factors for end in (lowest, highest))
    low, high = lowest, highest
    for _ in range(ROUNDS):
        low, high = _best(rows, num_bits, low.expand_as(highs), highs)
        low, high = _best(rows, num_bits, lows, high.expand_as(lows))
    return low, high


def _best(rows: Tensor, num_bits: int, lows: Tensor, highs: Tensor) -> tuple[Tensor, Tensor]:
    """Of candidate ends (candidates, channels), those of the least squared error."""
    errors = torch.stack(
        [squared_error(rows, num_bits, *ends) for ends in zip(lows, highs, strict=True)]
    )
    best = errors.argmin(dim=0, keepdim=True)
    return lows.gather(0, best)[0], highs.gather(0, best)[0]


def squared_error(rows: Tensor, num_bits: int, low: Tensor, high: Tensor) -> Tensor:
    """Mean squared error of every channel (channels,) on codes spread evenly from low to high."""
    levels = 2**num_bits - 1
    origin = low.to(rows.dtype)
    step = ((high - low) / levels).to(rows.dtype).clamp_min(torch.finfo(rows.dtype).tiny)
    shifted = rows - origin
    codes = (shifted / step).round_().clamp_(0, levels)
    return codes.mul_(step).sub_(shifted).square_().mean(dim=0)
