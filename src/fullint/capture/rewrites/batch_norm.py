"""Batch normalisation: with the statistics of training it is a factor and an offset a channel, and
disappears into the linear layer or patch convolution before it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from fullint.capture import normal_form
from fullint.capture.builder import Builder, Value
from fullint.capture.rewrites.registry import rewrites
from fullint.capture.shapes import shape_of


@rewrites("aten.batch_norm.default")
def batch_norm(
    build: Builder,
    x: Value,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Value:
    """x (N, C, ...): (x - mean) / sqrt(variance + eps) * weight + bias, each (C)."""
    if running_mean is None or running_var is None:
        raise build.refusal("it has no running statistics, and those of the image are not constant")
    factor = 1 / torch.sqrt(running_var.double() + eps)
    if weight is not None:
        factor = factor * weight
    offset = -running_mean * factor if bias is None else bias - running_mean * factor
    layer, moves = _layer_before(build, x)
    source, columns, start = (build.value_of(argument) for argument in layer.args)
    columns = (columns * factor[:, None]).float()
    start = (offset if start is None else start * factor + offset).float()
    with build.origin_of(layer):
        result = build.call(normal_form.linear, source, columns, start)
    for move in reversed(moves):
        result = build.call(move.target, result, *move.args[1:])
    return result


def _layer_before(build: Builder, x: Value) -> tuple[Any, list[Any]]:
    """The linear layer whose outputs are axis 1 of x, and the layout operations since, last first.

    Raises FullintError if there is none.
    """
    axis, moves = 1, []
    while isinstance(x, fx.Node) and x.target in (normal_form.permute, normal_form.reshape):
        arguments: Any = x.args
        shape, before = shape_of(x), shape_of(arguments[0])
        if x.target is normal_form.permute:
            axis = arguments[1][axis]
        elif axis == len(shape) - 1 and shape[-1] == before[-1]:
            axis = len(before) - 1
        elif shape[: axis + 1] != before[: axis + 1]:
            break
        moves.append(x)
        x = arguments[0]
    if (
        not isinstance(x, fx.Node)
        or x.target is not normal_form.linear
        or axis != len(shape_of(x)) - 1
    ):
        raise build.refusal("it does not come right after a linear layer or a patch convolution")
    return x, moves
