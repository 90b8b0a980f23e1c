"""What candidate generators are given, and how the best of many candidates is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from fullint.quantization.search.parameters import Family, Parameters
from fullint.recipes.steps import SearchConfig

LATER_SHAPES = 9
Errors = Callable[[Parameters], Tensor]


class Values(Protocol):
    """Quantiles of the tensor whose grid is searched."""

    def __call__(self, share: float) -> Tensor:
        """The quantile of every group, (groups,) float64."""


@dataclass(frozen=True)
class Problem:
    """One tensor's grid to be searched.

    Attributes:
        family: the grids to choose from; the errors of its groups do not depend on one another.
        errors: error (groups,) of parameters.
        quantile: quantile of each group's values.
        config: the search's declaration.
        first_round: whether the grid has not been searched yet.
    """

    family: Family
    errors: Errors
    quantile: Values
    config: SearchConfig
    first_round: bool = True

    def shapes(self) -> list[Parameters]:
        """The present scale with all integers that shape the grid, in later rounds those around the
        present one; nothing if they do not.
        """
        if not self.family.integer_shapes:
            return []
        low, high = self.family.integer_range
        count = high - low + 1 if self.first_round else LATER_SHAPES
        scale = self.family.start.scale
        return [Parameters(scale, integer) for integer in self.family.integers_near(count)]


@dataclass
class Best:
    """The least error so far, by group."""

    parameters: Parameters
    error: Tensor

    @classmethod
    def present(cls, problem: Problem) -> Best:
        """The grid as it is."""
        start = problem.family.start
        return cls(start, problem.errors(start))

    def try_all(self, problem: Problem, candidates: Iterable[Parameters]) -> None:
        """Take over, group by group, what has a smaller error."""
        for candidate in candidates:
            error = problem.errors(candidate)
            better = error < self.error
            self.parameters = candidate.where(better, self.parameters)
            self.error = error.where(better, self.error)
