"""Statistics of single channels, streamed over the calibration images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.fx
from torch import Tensor

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import GraphRunner


@dataclass
class ChannelStatistics:
    """Of every channel of a tensor's last axis, float64 (channels,): extremes, and sums for the
    moments.
    """

    low: Tensor
    high: Tensor
    total: Tensor
    total_square: Tensor
    count: int

    @classmethod
    def of(cls, values: Tensor) -> ChannelStatistics:
        """Of one batch (..., channels)."""
        rows = values.reshape(-1, values.shape[-1])
        low, high = torch.aminmax(rows, dim=0)
        wide = rows.double()
        return cls(low.double(), high.double(), wide.sum(0), wide.square().sum(0), len(rows))

    def merged(self, other: ChannelStatistics) -> ChannelStatistics:
        """Of both batches together."""
        return ChannelStatistics(
            torch.minimum(self.low, other.low),
            torch.maximum(self.high, other.high),
            self.total + other.total,
            self.total_square + other.total_square,
            self.count + other.count,
        )

    def select(self, channels: Tensor) -> ChannelStatistics:
        """Of some channels, in the order and shape of their numbers."""
        return ChannelStatistics(
            self.low[channels],
            self.high[channels],
            self.total[channels],
            self.total_square[channels],
            self.count,
        )

    @property
    def center(self) -> Tensor:
        """Middle of the range."""
        return (self.low + self.high) / 2

    @property
    def mean(self) -> Tensor:
        """Mean."""
        return self.total / self.count

    @property
    def spread(self) -> Tensor:
        """Half the range."""
        return (self.high - self.low) / 2

    @property
    def largest(self) -> Tensor:
        """Largest magnitude."""
        return torch.maximum(self.high, -self.low)

    @property
    def mean_square(self) -> Tensor:
        """Mean squared distance from `center`."""
        return self.total_square / self.count - 2 * self.mean * self.center + self.center.square()


def channel_statistics(
    module: torch.fx.GraphModule,
    nodes: set[torch.fx.Node],
    data: CalibrationData,
) -> dict[torch.fx.Node, ChannelStatistics]:
    """Statistics of each of `nodes` over all batches, in one pass."""
    statistics: dict[torch.fx.Node, ChannelStatistics] = {}

    def hook(node: torch.fx.Node, value: Tensor) -> Tensor:
        if node in nodes:
            batch = ChannelStatistics.of(value)
            statistics[node] = statistics[node].merged(batch) if node in statistics else batch
        return value

    runner = GraphRunner(module, hook)
    for pixels in data.reported_batches():
        with torch.no_grad():
            runner.run(pixels)
    return statistics
