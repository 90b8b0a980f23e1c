"""The normal form: the thirteen operations a captured model is made of.

A captured model is a `torch.fx.GraphModule` of `call_function` nodes that target exactly these
functions, with every argument given by position. Its input is `pixels` (batch, height, width,
channels), float, 0 to 255; its output the logits (batch, classes). All functions are plain torch
and differentiable. In an argument that is a shape, -1 marks the entry that carries the batch, and
there is exactly one; axes are counted from 0, never negative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from fullint.errors import FullintError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": functional.relu,
    "relu6": functional.relu6,
    "silu": functional.silu,
    "mish": functional.mish,
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (..., K) times weight (O, K) transposed, plus bias (O): (..., O)."""
    return functional.linear(x, weight, bias)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a (..., M, K) times b (..., K, N), leading axes broadcast: (..., M, N)."""
    return torch.matmul(a, b)


def softmax(x: Tensor) -> Tensor:
    """Softmax over the last axis of x (..., N)."""
    return torch.softmax(x, dim=-1)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """x (..., C) normalised over its last axis, then times weight (C) plus bias (C)."""
    return functional.layer_norm(x, weight.shape, weight, bias, eps)


def activation(x: Tensor, kind: str) -> Tensor:
    """The elementwise function named `kind`, a key of ACTIVATIONS; the shape stays.

    Raises FullintError for an unknown name.
    """
    if kind not in ACTIVATIONS:
        raise FullintError(f"activation {kind!r} is unknown; use one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[kind](x)


def add(a: Tensor, b: Tensor) -> Tensor:
    """a + b with broadcasting; either may be a constant."""
    return a + b


def scale(x: Tensor, factor: float) -> Tensor:
    """x times a positive number."""
    return x * factor


def concat(tensors: Sequence[Tensor], dim: int) -> Tensor:
    """The tensors joined along axis `dim`.

    On the other axes a size of 1 is expanded to that of the others: a constant has batch size 1.
    """
    rank = tensors[0].dim()
    common = [max(tensor.shape[axis] for tensor in tensors) for axis in range(rank)]
    common[dim] = -1
    return torch.cat([tensor.expand(common) for tensor in tensors], dim)


def mean(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The mean of x over the axes `dims`, which the result no longer has."""
    return x.mean(dims)


def reshape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The elements of x in row-major order under another shape."""
    return x.reshape(shape)


def permute(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """x with its axes reordered: axis i of the result is axis dims[i] of x."""
    return x.permute(dims)


def slice(x: Tensor, dim: int, start: int, stop: int) -> Tensor:
    """The entries start, ..., stop - 1 of axis `dim`."""
    return x.narrow(dim, start, stop - start)


def roll(x: Tensor, shifts: tuple[int, ...], dims: tuple[int, ...]) -> Tensor:
    """x rotated along axis dims[i] by shifts[i] places, towards higher indices if positive."""
    return torch.roll(x, shifts, dims)


VOCABULARY = (
    linear,
    matmul,
    softmax,
    layer_norm,
    activation,
    add,
    scale,
    concat,
    mean,
    reshape,
    permute,
    slice,
    roll,
)
