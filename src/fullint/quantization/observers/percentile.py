"""percentile: moving average of the batches' extreme percentiles, as FQ-ViT's code has it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fullint.quantization.observers.base import register
from fullint.quantization.observers.ema import EMAObserver

PERCENTILE = 0.99999


@register("percentile")
class PercentileObserver(EMAObserver):
    """The (1 - p) and p quantiles of each batch, p = 0.99999, averaged at rate 0.01.

    Only the outermost elements are sorted, so no batch is too large (the published code falls back
    to another library).
    """

    def observe(self, values: Tensor, pass_index: int) -> None:
        """Move both ends towards this batch's quantiles."""
        if pass_index == 0:
            self.low.update(-upper_quantile(-values))
            self.high.update(upper_quantile(values))


def upper_quantile(values: Tensor) -> Tensor:
    """The PERCENTILE quantile of each row, linearly interpolated."""
    position = (values.shape[1] - 1) * (1 - PERCENTILE)
    rank = math.floor(position)
    outermost = torch.topk(values, min(rank + 2, values.shape[1]), dim=1).values
    upper, lower = outermost[:, rank], outermost[:, -1]
    return upper + (lower - upper) * (position - rank)
