"""cosine: one minus the cosine of the angle between the outputs."""

from __future__ import annotations

from torch import Tensor

from fullint.quantization.search.metrics.base import OutputMetric


class Cosine(OutputMetric):
    """EasyQuant's and BasePTQ's. The outputs of one channel, head or layer are one vector."""

    def distance(
        self, exact: Tensor, rounded: Tensor, importance: Tensor | None, axes: tuple[int, ...]
    ) -> Tensor:
        """From 0 (same direction) to 2; 1 if either is zero."""
        norms = (exact.square().sum(axes) * rounded.square().sum(axes)).sqrt()
        return 1 - (exact * rounded).sum(axes) / norms.clamp_min(1e-30)
