"""fisher: squared output errors weighted by the squared gradient of sampled labels."""

from __future__ import annotations

from torch import Tensor

from fullint.quantization.search.metrics.base import OutputMetric
from fullint.quantization.search.samples import SamplingPlan


class Fisher(OutputMetric):
    """Sum of g^2 e^2 as in PTQ4ViT (arXiv 2111.12293, eq. 8), with a g that is not round-off: see
    `fullint.quantization.search.fisher`. Fewer images than the others, for the sake of time.
    """

    plan = SamplingPlan(images=32, chunk=4)
    needs_importance = True

    def distance(
        self, exact: Tensor, rounded: Tensor, importance: Tensor | None, axes: tuple[int, ...]
    ) -> Tensor:
        """In units of the divergence of the logits, times two."""
        assert importance is not None
        return (rounded - exact).square_().mul_(importance).sum(axes)
