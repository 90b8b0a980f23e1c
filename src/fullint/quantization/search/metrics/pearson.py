"""pearson: one minus the correlation coefficient of the outputs."""

from __future__ import annotations

from torch import Tensor

from fullint.quantization.search.metrics.cosine import Cosine


class Pearson(Cosine):
    """The cosine of what remains without the mean: a constant error is free, as a bias takes it."""

    def distance(
        self, exact: Tensor, rounded: Tensor, importance: Tensor | None, axes: tuple[int, ...]
    ) -> Tensor:
        """From 0 to 2."""
        exact = exact - exact.mean(axes, keepdim=True)
        rounded = rounded - rounded.mean(axes, keepdim=True)
        return super().distance(exact, rounded, importance, axes)
