"""Grids of weights, chosen from the weights alone."""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.errors import FullintError
from fullint.quantization.granularity import TENSOR, channels
from fullint.quantization.grids import UniformGrid, uniform_grid
from fullint.quantization.observers import make_observer
from fullint.recipes.schema import UniformConfig

SHRINK_FACTORS = [1 - 0.02 * step for step in range(35)]


def weight_grid(weight: Tensor, config: UniformConfig) -> UniformGrid:
    """Symmetric grid of a weight (outputs, inputs); its scale has shape (outputs, 1), or () for
    strategy "tensor".

    Observer "mse" (and "omse") shrinks each range to the least squared error, over the weights
    themselves and not a histogram of them; every other observer sees the weights as one batch.
    """
    if not config.symmetric or config.strategy not in ("tensor", "channel"):
        raise FullintError("weights take symmetric grids, a tensor or a channel (output) each")
    groups = TENSOR if config.strategy == "tensor" else channels(weight.shape[0])
    rows = groups.split(weight.T)
    if config.observer in ("mse", "omse"):
        scale = _least_error_scale(rows, config.num_bits)
    else:
        observer = make_observer(config.observer, num_bits=config.num_bits, symmetric=True)
        for pass_index in range(observer.passes):
            observer.observe(rows, pass_index)
        low, high = observer.range()
        scale = uniform_grid(low, high, num_bits=config.num_bits, symmetric=True).scale
    largest = 2 ** (config.num_bits - 1)
    shaped = scale.reshape(()) if config.strategy == "tensor" else scale.reshape(-1, 1)
    return UniformGrid(shaped, 0, -largest, largest - 1)


def _least_error_scale(rows: Tensor, num_bits: int) -> Tensor:
    low, high = torch.aminmax(rows, dim=1)
    best_error = torch.full((len(rows),), torch.inf)
    best_scale = torch.ones(len(rows), dtype=torch.float64)
    for factor in SHRINK_FACTORS:
        grid = uniform_grid(low * factor, high * factor, num_bits=num_bits, symmetric=True)
        by_row = UniformGrid(grid.scale[:, None], 0, grid.low, grid.high)
        error = (by_row.fake_quantize(rows) - rows).square().sum(1)
        better = error < best_error
        best_error = torch.where(better, error, best_error)
        best_scale = torch.where(better, grid.scale, best_scale)
    return best_scale
