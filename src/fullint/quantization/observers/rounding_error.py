"""Squared error of candidate ranges, from a histogram."""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.grids import uniform_grid
from fullint.quantization.observers.histogram import HistogramObserver


def squared_error(observer: HistogramObserver, lows: Tensor, highs: Tensor) -> Tensor:
    """Sum of squared errors of every group (rows) under every candidate range (columns), after
    `observer.through`.
    """
    assert observer.counts is not None
    through = observer.through or (lambda values: values)
    errors = torch.empty_like(lows)
    for group, (centers, counts) in enumerate(
        zip(observer.bin_centers(), observer.counts, strict=True)
    ):
        wanted = through(centers)
        for candidate in range(lows.shape[1]):
            grid = uniform_grid(
                lows[group, candidate],
                highs[group, candidate],
                num_bits=observer.num_bits,
                symmetric=observer.symmetric,
            )
            difference = through(grid.fake_quantize(centers)) - wanted
            errors[group, candidate] = (counts * difference.square()).sum()
    return errors
