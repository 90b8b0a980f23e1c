"""gptq: round one input channel after the other, and let those still to come make up for it.

Frantar et al., GPTQ (arXiv 2210.17323, algorithm 1). Of a layer's rows w, rounded to q, it keeps
(q - w) H (q - w)^T small, H the second moments of the rounded inputs. Where the layer has a bias
they are taken about the mean, and the bias takes up the mean's change exactly.

Two changes. A channel whose inputs are all zero is rounded like any other, not set to zero: other
images may reach it. And what is greedy can end worse than rounding each weight to its nearest: a
row where it does keeps the nearest. `range_search` is our own: every row is rounded on several
ranges.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from fullint.quantization.correction.columns import columns_of
from fullint.quantization.correction.layers import LayerProblem, corrects
from fullint.quantization.grids import UniformGrid
from fullint.recipes.steps import GPTQConfig

BLOCK = 128
RANGE_FACTORS = [1.0, *(0.6 + 0.04 * step for step in range(10)), 1.04, 1.08]


@corrects(GPTQConfig)
def gptq(layer: LayerProblem, config: GPTQConfig) -> None:
    """Change weight (on its grid afterwards) and bias; with `range_search` the grid too."""
    hessian = damped(layer.second_moments, config.damping)
    order = torch.arange(len(hessian))
    if config.activation_order:
        order = torch.argsort(hessian.diagonal(), descending=True, stable=True)
    if config.range_search:
        layer.grid = least_cost_range(layer.weight, hessian, layer.grid, order)
    layer.replace_weight(round_with_compensation(layer.weight, hessian, layer.grid, order))


def damped(second_moments: Tensor, damping: float) -> Tensor:
    """The matrix with `damping` times its mean diagonal (one if that is zero) added to it."""
    share = damping * float(second_moments.diagonal().mean()) or 1.0
    return second_moments + share * torch.eye(len(second_moments), dtype=torch.float64)


def least_cost_range(
    weight: Tensor, hessian: Tensor, grid: UniformGrid, order: Tensor
) -> UniformGrid:
    """The grid with each scale times the one of RANGE_FACTORS that ends with the least cost."""
    factors = torch.tensor(RANGE_FACTORS, dtype=torch.float64)
    copies = len(factors)
    rows = weight.repeat(copies, 1)
    wide = replace(
        grid,
        scale=(factors[:, None, None] * by_row(grid.scale, weight)).flatten(0, 1),
        zero_point=by_row(grid.zero_point, weight).repeat(copies, 1),
    )
    rounded = round_with_compensation(rows, hessian, wide, order)
    cost = rounding_cost(rows, rounded, hessian).reshape(copies, -1)
    if grid.scale.ndim == 0:
        return replace(grid, scale=grid.scale * factors[cost.sum(1).argmin()])
    return replace(grid, scale=grid.scale * factors[cost.argmin(0)][:, None])


def by_row(values: Tensor | int, weight: Tensor) -> Tensor:
    """A scale or zero point of any granularity with a row for each of the weight's, (O, 1 or K)."""
    spread = torch.as_tensor(values)
    if spread.ndim < 2:
        spread = spread.reshape(-1, 1)
    return spread.expand(len(weight), -1)


def round_with_compensation(
    weight: Tensor, hessian: Tensor, grid: UniformGrid, order: Tensor
) -> Tensor:
    """Weight (O, K) float64 on its grid, with a small `rounding_cost`, nowhere above that of the
    nearest values.

    Args:
        hessian: (K, K), positive definite.
        order: the columns in the order of their rounding.
    """
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian[order][:, order]))
    factor = torch.linalg.cholesky(inverse, upper=True)
    remaining, ordered_grid = weight[:, order], columns_of(grid, order)
    for start in range(0, len(order), BLOCK):
        stop = min(start + BLOCK, len(order))
        block, errors = remaining[:, start:stop], torch.empty_like(remaining[:, start:stop])
        for column in range(stop - start):
            here = start + column
            one = columns_of(ordered_grid, slice(here, here + 1))
            rounded = one.fake_quantize(block[:, column : column + 1])
            errors[:, column : column + 1] = (block[:, column : column + 1] - rounded) / factor[
                here, here
            ]
            block[:, column + 1 :] -= errors[:, column : column + 1] * factor[here, here + 1 : stop]
            block[:, column : column + 1] = rounded
        remaining[:, stop:] -= errors @ factor[start:stop, stop:]
    result = torch.empty_like(remaining)
    result[:, order] = remaining
    nearest = grid.fake_quantize(weight)
    worse = rounding_cost(weight, result, hessian) > rounding_cost(weight, nearest, hessian)
    return torch.where(worse[:, None], nearest, result)


def rounding_cost(weight: Tensor, rounded: Tensor, hessian: Tensor) -> Tensor:
    """d H d^T of each row's change d, (O,)."""
    change = rounded - weight
    return ((change @ hessian) * change).sum(1)
