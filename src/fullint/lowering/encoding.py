"""What lowering knows of a tensor of the program: how its integers stand for real numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Encoding:
    """real = (code - zero_point) * scale.

    Attributes:
        name: the program's tensor.
        scale: float64, of the tensor's rank; axes along which it is constant have size 1.
        zero_point: of the whole tensor.
        kind: "uniform"; or an attention map: "log2" codes for 2^-code, "row_relative" codes to be
            divided by their row's sum.
        accumulators: int32 sums that no quantizer has rounded yet.
    """

    name: str
    scale: np.ndarray
    zero_point: int = 0
    kind: Literal["uniform", "log2", "row_relative"] = "uniform"
    accumulators: bool = False

    def renamed(self, name: str, scale: np.ndarray | None = None) -> Encoding:
        """The same numbers under another name, perhaps with another scale."""
        return replace(self, name=name, scale=self.scale if scale is None else scale)


def of_rank(scale: np.ndarray | float, rank: int) -> np.ndarray:
    """A scale with axes of size 1 put in front until it has `rank` axes."""
    array = np.asarray(scale, dtype=np.float64)
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


def compress(scale: np.ndarray) -> np.ndarray:
    """Shrink every axis along which the scale is constant to size 1."""
    for axis, size in enumerate(scale.shape):
        first = np.take(scale, [0], axis=axis)
        if size > 1 and np.array_equal(np.broadcast_to(first, scale.shape), scale):
            scale = first
    return scale
