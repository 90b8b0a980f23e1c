"""layer_output: mean squared error of the product's output."""

from __future__ import annotations

from torch import Tensor

from fullint.quantization.search.metrics.base import Error, OutputMetric
from fullint.quantization.search.samples import SampledProduct


class LayerOutput(OutputMetric):
    """Squared error, as a share of the whole output's square: so the products that read one tensor
    count alike.
    """

    def distance(
        self, exact: Tensor, rounded: Tensor, importance: Tensor | None, axes: tuple[int, ...]
    ) -> Tensor:
        """Sum of squares."""
        return (rounded - exact).square_().sum(axes)

    def error_of(self, sample: SampledProduct, side: int, other: Tensor) -> Error:
        """See Metric; without outputs, where that is less work."""
        energy = sample.output(*sample.values).square().sum().clamp_min(1e-30)
        factor = sample.product.left.factor
        outputs, inputs = sample.right.shape if sample.product.is_linear else (0, 1)
        if sample.product.is_linear and side == 1:
            squares = weight_errors(sample.left * factor, other * factor, sample.right)
        elif outputs > inputs:
            squares = input_errors(sample.left, sample.right * factor, other * factor)
        else:
            squares = super().error_of(sample, side, other)
        return lambda operand: squares(operand) / energy


def weight_errors(inputs: Tensor, rounded_inputs: Tensor, weight: Tensor) -> Error:
    """Squared error of every output channel, as a function of the rounded weight.

    With d = what rounding adds to a row w, X the inputs and Y the rounded ones, |Y (w + d) - X w|^2
    = d G d + 2 d h + c, where G = Y^T Y, h = Y^T (Y - X) w and c = |(Y - X) w|^2.
    """
    gram = rounded_inputs.T @ rounded_inputs
    missing = (rounded_inputs - inputs) @ weight.T
    linear = 2 * (missing.T @ rounded_inputs)
    constant = missing.square().sum(0)

    def error(rounded: Tensor) -> Tensor:
        change = rounded - weight
        return (change * (change @ gram + linear)).sum(1) + constant

    return error


def input_errors(inputs: Tensor, weight: Tensor, rounded_weight: Tensor) -> Error:
    """Squared error of all outputs, as a function of the rounded inputs; `weight_errors` with the
    roles exchanged.
    """
    gram = rounded_weight.T @ rounded_weight
    missing = inputs @ (rounded_weight - weight).T
    linear = 2 * (missing @ rounded_weight)
    constant = missing.square().sum()

    def error(rounded: Tensor) -> Tensor:
        change = rounded - inputs
        return ((change @ gram).add_(linear).mul_(change).sum() + constant).reshape(1)

    return error
