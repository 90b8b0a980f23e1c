"""What can be searched: every weight, and every activation that only products read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.fx
from torch import Tensor

from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.grids import Grid, LevelGrid
from fullint.quantization.search.distinct import DistinctValues
from fullint.quantization.search.metrics import Error, Metric
from fullint.quantization.search.parameters import Family, Parameters
from fullint.quantization.search.products import Operand, Product, grid_at
from fullint.quantization.search.samples import SampledProduct


@dataclass(frozen=True)
class Reader:
    """One side (0 left, 1 right) of a product that reads the tensor."""

    sample: SampledProduct
    side: int

    @property
    def product(self) -> Product:
        """The product."""
        return self.sample.product

    @property
    def operand(self) -> Operand:
        """That side of it."""
        return self.product.operands[self.side]

    @property
    def values(self) -> Tensor:
        """Float values of that side."""
        return self.sample.values[self.side]

    @cached_property
    def _distinct(self) -> DistinctValues:
        return DistinctValues(self.values)

    def rounded(self, grid: Grid) -> Tensor:
        """The values on a grid of their source."""
        return grid_at(grid, self.product, self.side).fake_quantize(self.values)

    def nearly_rounded(self, grid: Grid) -> Tensor:
        """The same, but sooner if it is one of many grids of levels."""
        if isinstance(grid, LevelGrid):
            return self._distinct.fake_quantize(grid)
        return self.rounded(grid)


@dataclass(frozen=True)
class WeightRows:
    """The part of a weight that is searched.

    Attributes:
        owner: the group of every row (outputs,), ascending.
        columns: which columns.
    """

    owner: Tensor
    columns: slice

    def split(self, weight: Tensor) -> list[Tensor]:
        """Its values, as tensors (groups, any) that together hold all groups in order."""
        part = weight[:, self.columns]
        sizes = torch.bincount(self.owner).tolist()
        if len(set(sizes)) == 1:
            return [part.reshape(len(sizes), -1)]
        return [rows.reshape(1, -1) for rows in part.split(sizes)]


@dataclass
class Space:
    """A tensor whose grid, or part of it, is searched.

    Attributes:
        graph: where the grid is, and goes.
        node: the tensor: a weight or an activation.
        make_family: the grids to choose from, given the present one; None if that has no family.
        readers: the products that the error is measured at.
        rows: of a weight; the groups of activations are heads, or there is one.
    """

    graph: QuantizedGraph
    node: torch.fx.Node
    make_family: Callable[[Grid], Family | None]
    readers: list[Reader]
    rows: WeightRows | None = None

    def errors(self, metric: Metric, family: Family) -> Callable[[Parameters], Tensor]:
        """Error by group, summed over the readers, of parameters; other grids as they are now."""
        owner = None if self.rows is None else self.rows.owner
        parts = [(reader, self._error_at(metric, reader)) for reader in self.readers]

        def errors(parameters: Parameters) -> Tensor:
            grid = family.grid(parameters)
            return sum(  # type: ignore[return-value]
                by_group(error(reader.nearly_rounded(grid)), family.groups, owner)
                for reader, error in parts
            )

        return errors

    def _error_at(self, metric: Metric, reader: Reader) -> Error:
        sample = reader.sample
        opposite = Reader(sample, 1 - reader.side)
        source = opposite.operand.source
        if source is None:
            return metric.error_of(sample, reader.side, opposite.values)
        return metric.error_of(sample, reader.side, opposite.rounded(self.graph.grids[source]))

    def quantiles(self, groups: int) -> Quantiles:
        """Of the values of every group over all readers."""
        if self.rows is not None:
            return Quantiles(self.rows.split(self.readers[0].values))
        if groups == 1:
            rows = [reader.values.reshape(1, -1) for reader in self.readers]
        else:
            rows = [reader.values.movedim(1, 0).flatten(1) for reader in self.readers]
        return Quantiles([torch.cat(rows, dim=1)])


class Quantiles:
    """Linearly interpolated quantiles of the rows of several tensors (rows, any), one after the
    other: float64 (all rows,).
    """

    def __init__(self, parts: list[Tensor]) -> None:
        self.parts = parts

    @cached_property
    def ordered(self) -> list[Tensor]:
        """The parts, ascending in every row."""
        return [part.sort(dim=1).values for part in self.parts]

    def __call__(self, share: float) -> Tensor:
        """The quantile that `share` of a row's values are below."""
        return torch.cat([_quantile(part, share) for part in self.ordered])


def _quantile(ascending: Tensor, share: float) -> Tensor:
    position = share * (ascending.shape[1] - 1)
    below, above = math.floor(position), math.ceil(position)
    low, high = ascending[:, below].double(), ascending[:, above].double()
    return low.lerp(high, position - below)


def by_group(errors: Tensor, groups: int, owner: Tensor | None) -> Tensor:
    """Errors of rows or heads, added up in the group that is the `owner` of each (its own, if
    None); one error in all counts for every group, whose candidates then win or lose together.
    """
    if errors.numel() == 1:
        return errors.expand(groups).double()
    if groups == 1:
        return errors.double().sum(0, keepdim=True)
    if owner is None:
        return errors.double()
    return errors.new_zeros(groups, dtype=torch.float64).index_add_(0, owner, errors.double())
