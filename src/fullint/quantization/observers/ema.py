"""ema: exponential moving average of the batches' minima and maxima, as FQ-ViT's code has it."""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.observers.base import Observer, register


class MovingAverage:
    """value += 0.01 (new - value); the first value enters whole."""

    rate = 0.01

    def __init__(self) -> None:
        self.value: Tensor | None = None

    def update(self, new: Tensor) -> None:
        """Take in one batch's value."""
        self.value = new if self.value is None else self.value + self.rate * (new - self.value)


@register("ema")
class EMAObserver(Observer):
    """Moving averages of minimum and maximum, rate 0.01 a batch."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.low, self.high = MovingAverage(), MovingAverage()

    def observe(self, values: Tensor, pass_index: int) -> None:
        """Move both ends towards this batch's."""
        if pass_index == 0:
            low, high = torch.aminmax(values, dim=1)
            self.low.update(low)
            self.high.update(high)

    def range(self) -> tuple[Tensor, Tensor]:
        """Averaged (minimum, maximum)."""
        assert self.low.value is not None and self.high.value is not None
        return self.low.value, self.high.value
