"""Histograms: a tensor's distribution in bounded memory, for all that minimise an error."""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.observers.base import Observer
from fullint.quantization.observers.minmax import MinMaxObserver

BINS = 2048


class HistogramObserver(Observer):
    """First pass: ranges. Second pass: counts in 2048 bins of each group's range."""

    passes = 2

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.extremes = MinMaxObserver(**options)  # type: ignore[arg-type]
        self.counts: Tensor | None = None

    def observe(self, values: Tensor, pass_index: int) -> None:
        """Range in pass 0, counts in pass 1."""
        if pass_index == 0:
            self.extremes.observe(values, pass_index)
            return
        groups = len(values)
        if self.counts is None:
            self.counts = torch.zeros(groups, BINS, dtype=torch.float64)
        low, high = self.extremes.range()
        width = ((high - low) / BINS).clamp_min(torch.finfo(values.dtype).tiny)
        bins = ((values - low[:, None]) / width[:, None]).to(torch.int32).clamp_(0, BINS - 1)
        bins += torch.arange(groups, dtype=torch.int32)[:, None] * BINS
        self.counts += torch.bincount(bins.flatten(), minlength=groups * BINS).reshape(groups, BINS)

    def range(self) -> tuple[Tensor, Tensor]:
        """All that was seen; observers that minimise an error narrow it."""
        return self.extremes.range()

    def bin_centers(self) -> Tensor:
        """Middle of every bin, (groups, BINS), float64."""
        low, high = (end.double() for end in self.extremes.range())
        position = (torch.arange(BINS, dtype=torch.float64) + 0.5) / BINS
        return low[:, None] + (high - low)[:, None] * position
