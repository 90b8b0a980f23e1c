"""Operators that average or add over tokens or over the map: they become mean and scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fullint.capture import normal_form
from fullint.capture.builder import Builder, Value, positive
from fullint.capture.rewrites.products import multiply
from fullint.capture.rewrites.registry import rewrites
from fullint.capture.shapes import shape_of


@rewrites("aten.mean.dim")
def mean(
    build: Builder, x: Value, dims: Sequence[int] | None, keepdim: bool = False, **dtype: Any
) -> Value:
    """The average over some axes; kept axes of size 1 come back by a reshape."""
    axes = tuple(sorted(positive(dims or range(len(shape_of(x))), len(shape_of(x)))))
    build.keep_batch_whole(x, axes)
    return build.reshape(build.call(normal_form.mean, x, axes), build.output_shape)


@rewrites("aten.sum.dim_IntList")
def total(build: Builder, x: Value, dims: Sequence[int], keepdim: bool = False) -> Value:
    """The sum over some axes: their average, scaled."""
    axes = positive(dims, len(shape_of(x)))
    average = mean(build, x, axes, keepdim)
    return multiply(build, average, math.prod(shape_of(x)[axis] for axis in axes))


@rewrites("aten.adaptive_avg_pool1d.default", "aten.adaptive_avg_pool2d.default")
def adaptive_average(build: Builder, x: Value, size: Sequence[int]) -> Value:
    """Global average pooling: the last one or two axes averaged to size 1."""
    if any(length != 1 for length in size):
        raise build.refusal(
            f"it pools to {tuple(size)}, and only global pooling (to size 1) is in the normal form"
        )
    return mean(build, x, [-axis - 1 for axis in range(len(size))], keepdim=True)
