"""Least-error levels: the set of values with the least squared error on the calibration data, by
the exact solution of one-dimensional k-means (dynamic programming over a histogram).

Our own. A level grid costs the integer program the same whatever its levels are, so nothing speaks
for a published set where the best one is known.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fullint.quantization.grids import LevelGrid
from fullint.quantization.grids.level import (
    LARGEST_ACTIVATION_LEVEL,
    LARGEST_ATTENTION_LEVEL,
    level_grid,
)
from fullint.quantization.quantizers.activation_histogram import ActivationHistogramQuantizer
from fullint.quantization.quantizers.attention_histogram import AttentionMapQuantizer
from fullint.recipes.schema import LeastErrorConfig

POINTS = 640


class LeastErrorQuantizer(AttentionMapQuantizer):
    """Attention weights: one set of levels, or one for each head."""

    def __init__(self, config: LeastErrorConfig) -> None:
        super().__init__()
        self.config = config

    def freeze(self) -> LevelGrid:
        """Levels are means of weights, thresholds halfway between them."""
        counts, sums = self.histogram.counts, self.histogram.sums
        if self.config.strategy == "tensor":
            counts, sums = counts.sum(0, keepdim=True), sums.sum(0, keepdim=True)
        means = sums / counts.clamp_min(1)
        count = 2**self.config.num_bits
        levels = [least_error_levels(*pair, count) for pair in zip(means, counts, strict=True)]
        stacked = torch.stack(levels).squeeze(0)
        return _nearest(stacked, LARGEST_ATTENTION_LEVEL)


class LeastErrorActivationQuantizer(ActivationHistogramQuantizer):
    """Outputs of an activation function."""

    def __init__(self, config: LeastErrorConfig) -> None:
        super().__init__(config.num_bits)

    def freeze(self) -> LevelGrid:
        """Levels are means of bins, thresholds halfway between them."""
        assert self.histogram.counts is not None
        centers, counts = self.histogram.bin_centers()[0], self.histogram.counts[0]
        levels = least_error_levels(centers, counts, 2**self.num_bits)
        return _nearest(levels, LARGEST_ACTIVATION_LEVEL)


def least_error_levels(values: Tensor, counts: Tensor, count: int) -> Tensor:
    """The `count` values, ascending, that together are nearest to `values` (points,), each of which
    occurs `counts` times, in summed squares; the last one repeated if there are fewer points.

    With S_k[j] the least error of the first j points under k levels, S_k[j] is the least over i of
    S_(k-1)[i] + the error of points i .. j under their mean. Exact for up to POINTS points; more
    are merged with their neighbours first.
    """
    number, total, squares = _cumulated(values, counts)
    points = len(number) - 1
    if points <= count:
        levels = np.diff(total) / np.diff(number)
        return torch.from_numpy(np.pad(levels, (0, count - points), mode="edge"))
    mass = number[:, None] - number
    with np.errstate(divide="ignore", invalid="ignore"):
        error = squares[:, None] - squares - (total[:, None] - total) ** 2 / mass
    error[mass <= 0] = np.inf
    least, begins = error[:, 0], []
    for _ in range(count - 1):
        sums = least + error
        begins.append(sums.argmin(1))
        least = np.take_along_axis(sums, begins[-1][:, None], 1)[:, 0]
    edges = [points]
    for begin in reversed(begins):
        edges.append(int(begin[edges[-1]]))
    ends = np.array([0, *reversed(edges)])
    return torch.from_numpy(np.diff(total[ends]) / np.diff(number[ends]))


def _cumulated(values: Tensor, counts: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number, sum and sum of squares of the smallest points, (0 .. points) each."""
    occurring = counts > 0
    order = values[occurring].argsort()
    value, number = values[occurring][order].numpy(), counts[occurring][order].numpy()
    starts = np.arange(0, len(value), -(-len(value) // POINTS))
    sums = [np.add.reduceat(number * value**power, starts) for power in range(3)]
    cumulated = np.concatenate([np.zeros((3, 1)), np.cumsum(sums, axis=1)], axis=1)
    return cumulated[0], cumulated[1], cumulated[2]


def _nearest(reals: Tensor, largest_level: int) -> LevelGrid:
    thresholds = (reals[..., :-1] + reals[..., 1:]) / 2
    return level_grid(reals, thresholds, largest_level=largest_level)
