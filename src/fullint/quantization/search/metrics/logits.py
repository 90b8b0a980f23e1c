"""logits: divergence of the float model's prediction with one product rounded from without."""

from __future__ import annotations

import torch
import torch.fx
from torch import Tensor

from fullint.quantization.search.metrics.block_output import TailMetric
from fullint.quantization.search.metrics.tail import logits_node


class Logits(TailMetric):
    """Kullback-Leibler divergence with the unit under test quantized, everything else float
    (FIMA-Q, arXiv 2506.11543, uses this loss). A candidate costs half a model on average: for a
    `count` of about ten and one round only.
    """

    def end_of(self, node: torch.fx.Node) -> torch.fx.Node:
        """The logits."""
        return logits_node(self.module.graph)

    def distance(self, exact: Tensor, rounded: Tensor) -> Tensor:
        """Mean over the images, in nats."""
        return torch.nn.functional.kl_div(
            torch.log_softmax(rounded.double(), dim=-1),
            torch.log_softmax(exact.double(), dim=-1),
            reduction="batchmean",
            log_target=True,
        )
