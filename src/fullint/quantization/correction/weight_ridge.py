"""weight_ridge: round half of the channels, and let ridge regression make up for it in the others.

Wqer of ERQ (Zhong et al., ICML 2024, eq. 10 to 18). While channels remain float, the first half of
them in index order is rounded to the nearest; single weights of that half are rounded the other way
where it lowers the half's own error d C d^T, C the second moments of its rounded inputs (mu mu^T +
Sigma, eq. 16), at most `refinements` of a row; then ridge regression makes up for the half's error
in the other half and the bias. The penalty is activation_ridge's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.correction.activation_ridge import ridge
from fullint.quantization.correction.columns import columns_of
from fullint.quantization.correction.layers import LayerProblem, corrects
from fullint.quantization.grids import UniformGrid
from fullint.recipes.steps import WeightRidgeConfig


@corrects(WeightRidgeConfig)
def round_by_halves(layer: LayerProblem, config: WeightRidgeConfig) -> None:
    """Change weight (on its grid afterwards) and bias."""
    inputs = layer.weight.shape[1]
    columns = [layer.weight] if layer.bias is None else [layer.weight, layer.bias[:, None]]
    current = torch.cat(columns, dim=1)
    moments, penalty = layer.moments.gram, layer.penalty(config.strength)
    start = 0
    while start < inputs:
        stop = start + (inputs - start + 1) // 2
        half, rest = slice(start, stop), slice(stop, current.shape[1])
        rounded = refined_rounding(
            current[:, half],
            moments[half, half],
            columns_of(layer.grid, half),
            config.refinements,
        )
        lost = (current[:, half] - rounded) @ moments[half, rest]
        current[:, half] = rounded
        current[:, rest] += ridge(moments[rest, rest], lost.T, penalty[rest]).T
        start = stop
    layer.weight = current[:, :inputs]
    if layer.bias is not None:
        layer.bias = current[:, inputs]


def refined_rounding(
    weight: Tensor, moments: Tensor, grid: UniformGrid, refinements: int
) -> Tensor:
    """Weight (O, K) on its grid, the nearest but for at most `refinements` entries a row, each of
    which lowers the row's error d C d^T by going to the value on its other side.

    Tried is the entry with the largest gradient among those that would go against it; a row ends
    with the first that does not lower its error. moments: C, (K, K).
    """
    rounded = grid.fake_quantize(weight)
    change = rounded - weight
    gradient = change @ moments
    lowest, highest = (
        grid.dequantize(torch.full_like(weight, code)) for code in (grid.low, grid.high)
    )
    steps = grid.scale.expand_as(weight)
    rows = torch.arange(len(weight))
    for _ in range(refinements):
        move = -change.sign() * steps
        target = rounded + move
        inside = (target > lowest - steps / 2) & (target < highest + steps / 2)
        usable = (gradient.sign() == change.sign()) & inside
        best = torch.where(usable, gradient.abs(), 0.0).argmax(dim=1)
        moved = move[rows, best]
        effect = 2 * moved * gradient[rows, best] + moved.square() * moments.diagonal()[best]
        moved = torch.where(usable[rows, best] & (effect < 0), moved, 0.0)
        if not moved.any():
            break
        rounded[rows, best] += moved
        change[rows, best] += moved
        gradient += moved[:, None] * moments[best]
    # Sums of steps are off the grid by their rounding.
    return grid.fake_quantize(rounded)
