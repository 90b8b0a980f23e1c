"""Which grids of a quantized graph are searched, and with what."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
import torch.fx
from torch import Tensor

from fullint.capture import normal_form
from fullint.quantization.granularity import block_edges
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.grids import Grid, UniformGrid
from fullint.quantization.roles import consumers
from fullint.quantization.search.level_families import level_family
from fullint.quantization.search.parameters import Family
from fullint.quantization.search.products import head_channels
from fullint.quantization.search.samples import SampledProduct
from fullint.quantization.search.spaces import Reader, Space, WeightRows
from fullint.quantization.search.uniform_family import UniformFamily
from fullint.recipes.schema import MATRIX_OPERANDS, UniformConfig


def find_spaces(graph: QuantizedGraph, samples: list[SampledProduct]) -> list[Space]:
    """All weights, then all activations of products, in network order.

    Left alone are tensors that something else reads too (a product's error says nothing about it),
    that share an addition's grid or that are promised powers of two.
    """
    readers: dict[torch.fx.Node, list[Reader]] = {}
    for sample in samples:
        for side, operand in enumerate(sample.product.operands):
            if operand.source is not None:
                readers.setdefault(operand.source, []).append(Reader(sample, side))
    weights, activations = [], []
    for node, found in readers.items():
        if node.op == "get_attr":
            weights += _weight_spaces(graph, node, found)
        elif {reader.product.node for reader in found} == set(consumers(node)):
            activations += _activation_spaces(graph, node, found)
    return weights + activations


def clusters(spaces: list[Space]) -> list[list[Space]]:
    """Spaces that share a product, directly or through others; their grids depend on each other."""
    found: list[list[Space]] = []
    for space in spaces:
        products = _products(space)
        joined = [other for other in found if products & set().union(*map(_products, other))]
        found = [other for other in found if other not in joined]
        found.append([member for other in joined for member in other] + [space])
    return found


def _products(space: Space) -> set[torch.fx.Node]:
    return {reader.product.node for reader in space.readers}


def _weight_spaces(
    graph: QuantizedGraph, node: torch.fx.Node, readers: list[Reader]
) -> list[Space]:
    shape = node.meta["shape"]
    return [
        Space(graph, node, partial(_uniform_family, group=group), readers, rows)
        for group, rows in weight_groups(shape, graph.recipe.weights)
    ]


def weight_groups(shape: tuple[int, int], config: UniformConfig) -> list[tuple[Tensor, WeightRows]]:
    """Groups of a weight's scales that can be searched side by side: all rows, but one block of
    columns after the other, because the columns' errors mix (PTQ-SL, arXiv 2110.07809).

    Returns for each the group of every scale, -1 for the other columns', and of every row.
    """
    outputs, inputs = shape
    everything = slice(0, inputs)
    if config.strategy == "tensor":
        zero = torch.tensor(0)
        return [(zero, WeightRows(zero.expand(outputs), everything))]
    if config.strategy == "channel":
        rows = torch.arange(outputs)
        return [(rows[:, None], WeightRows(rows, everything))]
    row_edges, column_edges = map(block_edges, shape, config.blocks)
    sizes = torch.tensor(row_edges).diff()
    owner = torch.arange(len(sizes)).repeat_interleave(sizes)
    found = []
    for left, right in pairwise(column_edges):
        group = torch.full(shape, -1)
        group[:, left:right] = owner[:, None]
        found.append((group, WeightRows(owner, slice(left, right))))
    return found


def _activation_spaces(
    graph: QuantizedGraph, node: torch.fx.Node, readers: list[Reader]
) -> list[Space]:
    role = graph.roles.get(node)
    grid = graph.grids[node]
    if role not in MATRIX_OPERANDS:
        return []
    config = graph.recipe.activations[role]
    if not isinstance(config, UniformConfig):
        return [Space(graph, node, partial(level_family, config, role), readers)]
    if config.power_of_two_scale or not isinstance(grid, UniformGrid):
        return []
    if config.strategy in ("head", "operand") and grid.scale.ndim > 0:
        return _head_spaces(graph, node, grid, readers, apart=config.strategy == "head")
    if grid.scale.ndim > 0 and not all(map(_keeps_channels, readers)):
        return []
    group = torch.zeros(grid.scale.shape, dtype=torch.int64)
    return [Space(graph, node, partial(_uniform_family, group=group), readers)]


def _head_spaces(
    graph: QuantizedGraph,
    node: torch.fx.Node,
    grid: UniformGrid,
    readers: list[Reader],
    *,
    apart: bool,
) -> list[Space]:
    """One space for all the heads of query, one of key, one of value; the heads of one are groups
    of their own if they are to be kept `apart`.
    """
    by_heads: dict[tuple[tuple[int, ...], ...], list[Reader]] = {}
    for reader in readers:
        if reader.product.is_linear:
            return []
        heads = head_channels(reader.product, reader.operand)
        by_heads.setdefault(tuple(map(tuple, heads)), []).append(reader)
    spaces = []
    for heads_found, found in by_heads.items():
        group = torch.full(grid.scale.shape, -1)
        for number, channels in enumerate(heads_found):
            group[list(channels)] = number if apart else 0
        spaces.append(Space(graph, node, partial(_uniform_family, group=group), found))
    return spaces


def _keeps_channels(reader: Reader) -> bool:
    """Whether a column of a linear layer's input is one channel of the tensor it comes from."""
    numbers = reader.operand.source_channels()
    return reader.product.node.target is normal_form.linear and bool(
        (numbers == numbers.reshape(-1, numbers.shape[-1])[0]).all()
    )


def _uniform_family(present: Grid, group: Tensor) -> Family:
    assert isinstance(present, UniformGrid)
    return UniformFamily(present, group)
