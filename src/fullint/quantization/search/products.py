"""The matrix products of a captured model and the grids that round their operands."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import torch
import torch.fx
from torch import Tensor

from fullint.capture import normal_form
from fullint.quantization.grids import Grid, UniformGrid
from fullint.quantization.heads import moved
from fullint.quantization.roles import LAYOUT, is_constant


@dataclass(frozen=True)
class Operand:
    """One side of a product.

    Attributes:
        node: what the product reads.
        source: the node whose grid rounds it; None if it is not rounded.
        path: the layout operations from the source (not included) to `node`.
    """

    node: torch.fx.Node
    source: torch.fx.Node | None
    path: tuple[torch.fx.Node, ...]

    @property
    def factor(self) -> float:
        """What the values of `source` are multiplied by on their way."""
        factor = 1.0
        for node in self.path:
            if node.target is normal_form.scale:
                factor *= cast(float, node.args[1])
        return factor

    def source_channels(self) -> Tensor:
        """Which channel of the source every element is, in the operand's shape for one image."""
        assert self.source is not None
        shape = self.source.meta["shape"]
        numbers = torch.arange(shape[-1]).expand(shape)
        for node in self.path:
            numbers = moved(node, numbers)
        return numbers


@dataclass(frozen=True)
class Product:
    """A linear layer, whose right operand is its weight (outputs, inputs), or the product of two
    activations.
    """

    node: torch.fx.Node
    left: Operand
    right: Operand

    @property
    def is_linear(self) -> bool:
        """Whether it is a linear layer."""
        return self.node.target is normal_form.linear

    @property
    def operands(self) -> tuple[Operand, Operand]:
        """Left and right."""
        return self.left, self.right

    @cached_property
    def scale_indices(self) -> tuple[Tensor | None, Tensor | None]:
        """For both operands, where the scale of each column (linear layers) or head is found among
        the scales of the source's channels; None if the operand is its source.
        """
        return _scale_index(self, self.left), _scale_index(self, self.right)

    def by_image(self, value: Tensor, images: int, one_image: tuple[int, ...]) -> Tensor:
        """An activation of the product (operand or result), whose shape for one image is given, as
        (images, rows, channels) of a linear layer, (images, windows, heads, rows, columns) of
        two activations.
        """
        if self.is_linear:
            return value.reshape(images, -1, one_image[-1])
        heads = one_image[-3] if len(one_image) >= 3 else 1
        return value.reshape(images, -1, heads, *one_image[-2:])


def find_products(graph: torch.fx.Graph, grids: Collection[torch.fx.Node]) -> list[Product]:
    """Every product in the order in which they run; `grids` are the nodes that have a grid.

    Products of activations of which one is a constant, or whose operands have different numbers of
    windows or heads, are left out: they would need rules of their own, and no model has them.
    """
    products = []
    for node in graph.nodes:
        if node.target is normal_form.linear:
            weight = node.args[1]
            right = Operand(weight, weight if weight in grids else None, ())
            products.append(Product(node, _operand(node.args[0], grids), right))
        elif node.target is normal_form.matmul and not any(map(is_constant, node.args)):
            left, right = (_operand(argument, grids) for argument in node.args)
            if left.node.meta["shape"][:-2] == right.node.meta["shape"][:-2]:
                products.append(Product(node, left, right))
    return products


def _operand(node: torch.fx.Node, grids: Collection[torch.fx.Node]) -> Operand:
    path: list[torch.fx.Node] = []
    source = node
    while source not in grids:
        if source.target not in LAYOUT:
            return Operand(node, None, ())
        path.append(source)
        source = source.all_input_nodes[0]
    return Operand(node, source, tuple(reversed(path)))


def head_channels(product: Product, operand: Operand) -> list[list[int]]:
    """The channels of the operand's source that are in each head, sorted."""
    numbers = operand.source_channels()
    by_head = product.by_image(numbers, 1, tuple(numbers.shape)).movedim(2, 0)
    return [head.unique().tolist() for head in by_head]


def grid_at(grid: Grid, product: Product, side: int) -> Grid:
    """The grid of an operand's source, fit for its sampled values; side 0 is left, 1 right."""
    operand = product.operands[side]
    if operand.source is operand.node or not isinstance(grid, UniformGrid) or grid.scale.ndim == 0:
        return grid
    return replace(grid, scale=grid.scale[product.scale_indices[side]])


def _scale_index(product: Product, operand: Operand) -> Tensor | None:
    if not operand.path:
        return None
    if product.is_linear:
        numbers = operand.source_channels()
        return numbers.reshape(-1, numbers.shape[-1])[0]
    first = [channels[0] for channels in head_channels(product, operand)]
    return torch.tensor(first).reshape(-1, 1, 1)
