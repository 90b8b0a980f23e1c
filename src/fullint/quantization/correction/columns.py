"""Single input channels of a weight's grid."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from fullint.quantization.grids import UniformGrid


def columns_of(grid: UniformGrid, columns: Tensor | slice) -> UniformGrid:
    """The grid of weight[:, columns], whatever the granularity of the weight (outputs, inputs)."""
    scale, zero_point = grid.scale, grid.zero_point
    if _differs_by_column(scale):
        scale = scale[:, columns]
    if isinstance(zero_point, Tensor) and _differs_by_column(zero_point):
        zero_point = zero_point[:, columns]
    return replace(grid, scale=scale, zero_point=zero_point)


def _differs_by_column(values: Tensor) -> bool:
    return values.ndim == 2 and values.shape[1] > 1
