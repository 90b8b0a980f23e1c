"""block_output: squared error of the residual stream behind the branch the product is in."""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.fx
from torch import Tensor

from fullint.quantization.search.metrics.base import Error, Metric
from fullint.quantization.search.metrics.tail import Tail, block_end
from fullint.quantization.search.products import Product
from fullint.quantization.search.samples import SampledProduct, SamplingPlan


class TailMetric(Metric):
    """Runs the float model on from the rounded product. Every candidate costs that run over whole
    images, and all channels or heads of a grid move together, because their errors mix.
    """

    plan = SamplingPlan(4, None, None, None, None)

    def __init__(self, module: torch.fx.GraphModule) -> None:
        super().__init__(module)
        self.tails: dict[torch.fx.Node, Tail] = {}

    @abstractmethod
    def end_of(self, node: torch.fx.Node) -> torch.fx.Node:
        """Where to compare."""

    @abstractmethod
    def distance(self, exact: Tensor, rounded: Tensor) -> Tensor:
        """Of the values there, a scalar."""

    def watch(self, products: list[Product]) -> None:
        """See Metric."""
        for product in products:
            tail = Tail(self.module, product.node, self.end_of(product.node))
            self.tails[product.node] = tail
            self.kept.update({node: [] for node in tail.inputs})

    def error_of(self, sample: SampledProduct, side: int, other: Tensor) -> Error:
        """See Metric."""
        node = sample.product.node
        tail = self.tails[node]
        inputs = {source: torch.cat(self.kept[source]) for source in tail.inputs}

        def end(left: Tensor, right: Tensor) -> Tensor:
            output = sample.output(left, right).reshape(-1, *node.meta["shape"][1:])
            return tail.run(output, inputs)

        exact = end(*sample.values)

        def error(operand: Tensor) -> Tensor:
            pair = (operand, other) if side == 0 else (other, operand)
            return self.distance(exact, end(*pair)).reshape(1)

        return error


class BlockOutput(TailMetric):
    """Sees the softmax and the activation function behind a product, too."""

    def end_of(self, node: torch.fx.Node) -> torch.fx.Node:
        """The residual addition."""
        return block_end(node)

    def distance(self, exact: Tensor, rounded: Tensor) -> Tensor:
        """Sum of squares."""
        return (rounded - exact).square_().sum()
