"""minmax: the smallest and the largest value ever seen."""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.observers.base import Observer, register


@register("minmax")
class MinMaxObserver(Observer):
    """Running minimum and maximum."""

    low: Tensor | None = None
    high: Tensor | None = None

    def observe(self, values: Tensor, pass_index: int) -> None:
        """Widen the range to hold `values`."""
        if pass_index > 0:
            return
        low, high = torch.aminmax(values, dim=1)
        self.low = low if self.low is None else torch.minimum(self.low, low)
        self.high = high if self.high is None else torch.maximum(self.high, high)

    def range(self) -> tuple[Tensor, Tensor]:
        """(minimum, maximum)."""
        assert self.low is not None and self.high is not None
        return self.low, self.high
