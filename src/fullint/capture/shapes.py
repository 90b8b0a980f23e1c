"""Shapes with a recognisable batch.

While a graph is built, every node knows the shape it has for a batch of PROBE_BATCH images, a prime
larger than any other axis of a model. An axis whose size is a multiple of it carries the batch, and
the quotient is what one image contributes (1 for tokens (batch, tokens, channels); 64 for Swin's
(batch * 64 windows, tokens, channels)). Shapes are computed on torch's `meta` device: no memory, no
arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from fullint.capture import normal_form

PROBE_BATCH = 1_000_003

Shape = tuple[int, ...]


def carries_batch(size: int) -> bool:
    """Whether an axis of this size (for PROBE_BATCH images) holds the batch."""
    return size > 0 and size % PROBE_BATCH == 0


def batch_axis(shape: Sequence[int]) -> int | None:
    """The axis that carries the batch; None for the shape of a constant."""
    return next((axis for axis, size in enumerate(shape) if carries_batch(size)), None)


def for_one_image(shape: Sequence[int]) -> Shape:
    """The shape at batch size 1."""
    return tuple(size // PROBE_BATCH if carries_batch(size) else size for size in shape)


def reshape_argument(shape: Sequence[int]) -> Shape:
    """The shape as `normal_form.reshape` takes it: -1 where the batch is."""
    return tuple(-1 if carries_batch(size) else size for size in shape)


def shape_of(value: fx.Node | Tensor) -> Shape:
    """The shape of a node for PROBE_BATCH images, or of a constant."""
    return tuple(value.shape) if isinstance(value, Tensor) else value.meta["probe_shape"]


def exported_shape(value: Any) -> Shape:
    """The shape, for PROBE_BATCH images, of a tensor of torch.export, whose batch is a symbol."""
    return tuple(_at_probe_batch(size) for size in value.shape)


def _at_probe_batch(size: int | torch.SymInt) -> int:
    if isinstance(size, int):
        return size
    expression = size.node.expr
    return int(expression.subs(dict.fromkeys(expression.free_symbols, PROBE_BATCH)))


def result_shape(function: Callable[..., Tensor], arguments: tuple[Any, ...]) -> Shape:
    """The shape of a normal-form function of nodes, for PROBE_BATCH images."""

    def placeholder(node: fx.Node) -> Tensor:
        return torch.empty(shape_of(node), device="meta")

    return tuple(function(*fx.map_arg(arguments, placeholder)).shape)


def insert(
    graph: fx.Graph, function: Callable[..., Tensor], arguments: tuple[Any, ...], module_path: str
) -> fx.Node:
    """A new node at the graph's insertion point, with its shape and its origin."""
    node = graph.call_function(function, arguments)
    node.meta = {"probe_shape": result_shape(function, arguments), "module_path": module_path}
    return node


def is_layout(node: Any) -> bool:
    """Whether the value only reorders the elements of another: a reshape or a permute."""
    return isinstance(node, fx.Node) and node.target in (normal_form.reshape, normal_form.permute)
