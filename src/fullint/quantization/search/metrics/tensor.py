"""tensor: squared error of the operand itself."""

from __future__ import annotations

from torch import Tensor

from fullint.quantization.search.metrics.base import Error, Metric
from fullint.quantization.search.samples import SampledProduct


class TensorError(Metric):
    """Does not look at the product at all."""

    def error_of(self, sample: SampledProduct, side: int, other: Tensor) -> Error:
        """See Metric."""
        exact = sample.values[side]
        if not sample.product.is_linear:
            axes: tuple[int, ...] = (0, 2, 3)
        else:
            axes = (1,) if side == 1 else (0, 1)

        def error(rounded: Tensor) -> Tensor:
            return (rounded - exact).square_().sum(axes).reshape(-1)

        return error
