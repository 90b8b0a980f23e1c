"""What all metrics share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.fx
from torch import Tensor

from fullint.quantization.search.products import Product
from fullint.quantization.search.samples import SampledProduct, SamplingPlan

Error = Callable[[Tensor], Tensor]


class Metric(ABC):
    """Says how far a product is from the float model's when its operands are rounded.

    Attributes:
        plan: what it wants to see of the calibration images.
        needs_importance: whether samples must have their importance.
        kept: values of nodes that it needs whole, chunk by chunk; `watch` says which.
    """

    plan = SamplingPlan()
    needs_importance = False

    def __init__(self, module: torch.fx.GraphModule) -> None:
        self.module = module
        self.kept: dict[torch.fx.Node, list[Tensor]] = {}

    def watch(self, products: list[Product]) -> None:  # noqa: B027  (most need nothing)
        """Learn which products will be asked about, before they are sampled."""

    @abstractmethod
    def error_of(self, sample: SampledProduct, side: int, other: Tensor) -> Error:
        """The error as a function of operand `side` (0 left, 1 right) as rounded; `other` is the
        other operand, rounded.

        The function's result has one entry for every output channel of a weight, for every head of
        an attention operand, one in all for the input of a linear layer; or one in all wherever
        their errors cannot be told apart.
        """


class OutputMetric(Metric):
    """Compares the product's output, element by element or as vectors."""

    @abstractmethod
    def distance(
        self, exact: Tensor, rounded: Tensor, importance: Tensor | None, axes: tuple[int, ...]
    ) -> Tensor:
        """Distance of outputs, summed over `axes`."""

    def error_of(self, sample: SampledProduct, side: int, other: Tensor) -> Error:
        """See Metric."""
        exact = sample.output(*sample.values)
        axes = error_axes(sample.product, side)

        def error(operand: Tensor) -> Tensor:
            pair = (operand, other) if side == 0 else (other, operand)
            rounded = sample.output(*pair)
            return self.distance(exact, rounded, sample.importance, axes).reshape(-1)

        return error


def error_axes(product: Product, side: int) -> tuple[int, ...]:
    """The axes of a sampled output over which an operand's errors add up."""
    if not product.is_linear:
        return (0, 2, 3)
    return (0,) if side == 1 else (0, 1)
