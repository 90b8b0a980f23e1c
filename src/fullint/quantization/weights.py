"""Grids of weights, chosen from the weights alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from fullint.errors import FullintError
from fullint.quantization.granularity import block_edges
from fullint.quantization.grids import UniformGrid, uniform_grid
from fullint.quantization.observers import make_observer
from fullint.quantization.observers.percentile_list import PERCENTILES
from fullint.recipes.schema import UniformConfig

SHRINK_FACTORS = [1 - 0.02 * step for step in range(35)]
BITS_OF_STORED_INTEGERS = 8


def weight_grid(weight: Tensor, config: UniformConfig) -> UniformGrid:
    """Grid of a weight (outputs, inputs): one range for strategy "tensor", one an output for
    "channel" (scale and zero point (outputs, 1)), one a block for "block" (outputs, inputs).

    Observers "mse" and "omse" shrink each range to the least squared error, "percentile_list" takes
    the best of three pairs of quantiles; both look at the weights themselves and not a histogram of
    them. Every other observer sees the weights as one batch.
    """
    if config.strategy == "tensor":
        low, high = (end.reshape(()) for end in _ranges(weight.reshape(1, -1), config))
    elif config.strategy == "channel":
        low, high = (end[:, None] for end in _ranges(weight, config))
    elif config.strategy == "block":
        low, high = _block_ranges(weight, config)
    else:
        raise FullintError(f"weights have no grids a {config.strategy}; give them one a channel")
    return uniform_grid(low, high, num_bits=config.num_bits, symmetric=is_symmetric(config))


def is_symmetric(config: UniformConfig) -> bool:
    """Whether a weight's grid has zero point 0: as declared, and always for 8 bits.

    Codes less their zero point are stored as int8, which holds 256 of them around one zero point
    only, the symmetric one.
    """
    return config.symmetric or config.num_bits >= BITS_OF_STORED_INTEGERS


def _block_ranges(weight: Tensor, config: UniformConfig) -> tuple[Tensor, Tensor]:
    low, high = torch.empty_like(weight), torch.empty_like(weight)
    row_edges, column_edges = map(block_edges, weight.shape, config.blocks)
    for top, bottom in pairwise(row_edges):
        for left, right in pairwise(column_edges):
            block = slice(top, bottom), slice(left, right)
            low[block], high[block] = _ranges(weight[block].reshape(1, -1), config)
    return low, high


def _ranges(rows: Tensor, config: UniformConfig) -> tuple[Tensor, Tensor]:
    """Ends of every row's range, (rows,) each."""
    if config.observer in ("mse", "omse", "percentile_list"):
        return _least_error_range(rows, config)
    symmetric = is_symmetric(config)
    observer = make_observer(config.observer, num_bits=config.num_bits, symmetric=symmetric)
    for pass_index in range(observer.passes):
        observer.observe(rows, pass_index)
    return observer.range()


def _least_error_range(rows: Tensor, config: UniformConfig) -> tuple[Tensor, Tensor]:
    best_error = torch.full((len(rows),), torch.inf)
    best_low, best_high = torch.aminmax(rows, dim=1)
    for low, high in _candidates(rows, config):
        grid = uniform_grid(
            low[:, None], high[:, None], num_bits=config.num_bits, symmetric=is_symmetric(config)
        )
        error = (grid.fake_quantize(rows) - rows).square().sum(1)
        better = error < best_error
        best_error = torch.where(better, error, best_error)
        best_low = torch.where(better, low, best_low)
        best_high = torch.where(better, high, best_high)
    return best_low, best_high


def _candidates(rows: Tensor, config: UniformConfig) -> Iterator[tuple[Tensor, Tensor]]:
    if config.observer == "percentile_list":
        for percentile in PERCENTILES:
            yield rows.quantile(1 - percentile, dim=1), rows.quantile(percentile, dim=1)
        return
    low, high = torch.aminmax(rows, dim=1)
    for factor in SHRINK_FACTORS:
        yield low * factor, high * factor
