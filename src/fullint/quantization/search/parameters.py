"""What a search chooses: a scale and an integer for every group of a tensor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from fullint.quantization.grids import Grid


@dataclass(frozen=True)
class Parameters:
    """Of every group (a tensor, a head, an output channel ...) the two numbers that make its grid.

    Attributes:
        scale: (groups,) float64, positive.
        integer: (groups,) float64, integral: a zero point, a logarithm's base ...; see the family.
    """

    scale: Tensor
    integer: Tensor

    def where(self, chosen: Tensor, other: Parameters) -> Parameters:
        """These where `chosen` (groups,), else the others."""
        return Parameters(
            torch.where(chosen, self.scale, other.scale),
            torch.where(chosen, self.integer, other.integer),
        )


class Family(ABC):
    """All the grids that one tensor could have instead of its present one.

    Attributes:
        start: parameters of the present grid.
        integer_range: least and largest integer.
        has_scale: whether the scale can be chosen.
        integer_shapes: whether the integer says how values are spaced, as a logarithm's base does,
            and has to be searched even where only scales are.
    """

    start: Parameters
    integer_range: tuple[int, int]
    has_scale = True
    integer_shapes = False

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.start.scale)

    @abstractmethod
    def grid(self, parameters: Parameters) -> Grid:
        """The grid of these parameters."""

    @abstractmethod
    def of_range(self, low: Tensor, high: Tensor) -> Parameters:
        """Parameters that cover the ranges (groups,), float64."""

    def integers_near(self, count: int) -> list[Tensor]:
        """Up to `count` neighbouring integers (groups,), the present ones in their middle unless
        that is too near an end.
        """
        low, high = self.integer_range
        count = min(count, high - low + 1)
        first = (self.start.integer - count // 2).clamp(low, high - count + 1)
        return [first + step for step in range(count)]
