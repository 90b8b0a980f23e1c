"""progressive: AdaLog's fast progressive combining search (arXiv 2407.12951, algorithm 1).

A coarse grid over scales and integers (zero points, bases) together; the best few of it are kept,
each is surrounded by finer scales, and so on. The published code takes six steps with sixteen kept,
for scales of five digits; three with eight kept come within a hundredth of the coarse spacing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fullint.quantization.search.candidates.base import Best, Problem
from fullint.quantization.search.parameters import Parameters

KEPT = 8
FINER = 8
REFINEMENTS = 2
MOST_INTEGERS = 16
NARROWEST_QUANTILE = 0.9
# In later rounds the neighbourhood of the present grid is enough.
LATER_SPAN = 0.1
LATER_REFINEMENTS = 1


@dataclass
class Beam:
    """Candidates side by side, each (candidates, groups)."""

    scale: Tensor
    integer: Tensor
    error: Tensor

    @classmethod
    def of(cls, problem: Problem, candidates: list[Parameters]) -> Beam:
        """Evaluate candidates."""
        return cls(
            torch.stack([candidate.scale for candidate in candidates]),
            torch.stack([candidate.integer for candidate in candidates]),
            torch.stack([problem.errors(candidate) for candidate in candidates]),
        )

    def best(self, count: int) -> Beam:
        """The `count` least errors of every group, least first."""
        order = self.error.argsort(dim=0, stable=True)[:count]
        return Beam(*(values.gather(0, order) for values in (self.scale, self.integer, self.error)))

    def joined(self, other: Beam) -> Beam:
        """Both."""
        return Beam(
            torch.cat([self.scale, other.scale]),
            torch.cat([self.integer, other.integer]),
            torch.cat([self.error, other.error]),
        )

    def parameters(self) -> list[Parameters]:
        """One a candidate."""
        return [Parameters(*pair) for pair in zip(self.scale, self.integer, strict=True)]


def progressive(problem: Problem) -> Best:
    """Scale and integer of the least error found."""
    if not problem.family.has_scale:
        only = Best.present(problem)
        only.try_all(problem, problem.shapes())
        return only
    present = Beam.of(problem, [problem.family.start])
    candidates, spacing = _coarse(problem) if problem.first_round else _around(problem)
    beam = present.joined(Beam.of(problem, candidates)).best(KEPT)
    steps = torch.linspace(-0.5, 0.5, FINER, dtype=torch.float64)
    for _ in range(REFINEMENTS if problem.first_round else LATER_REFINEMENTS):
        finer = [
            Parameters(_positive(kept.scale + spacing * step, kept.scale), kept.integer)
            for kept in beam.parameters()
            for step in steps
        ]
        beam = beam.joined(Beam.of(problem, finer)).best(KEPT)
        spacing = spacing / (FINER - 1)
    best = beam.best(1)
    return Best(best.parameters()[0], best.error[0])


def _coarse(problem: Problem) -> tuple[list[Parameters], Tensor]:
    """About `count` combinations, scales from that of the inner 80 % of the values to that of all,
    and the distance of the scales.
    """
    family = problem.family
    integers = _integers(problem)
    lowest, highest = (
        family.of_range(problem.quantile(1 - share), problem.quantile(share)).scale
        for share in (NARROWEST_QUANTILE, 1.0)
    )
    count = max(2, problem.config.count // len(integers))
    spacing = (highest - lowest) / (count - 1)
    scales = [_positive(lowest + step * spacing, highest) for step in range(count)]
    return [Parameters(scale, integer) for integer in integers for scale in scales], spacing


def _around(problem: Problem) -> tuple[list[Parameters], Tensor]:
    start = problem.family.start
    nearby = problem.family.integers_near(3)
    spacing = start.scale * (2 * LATER_SPAN / (FINER - 1))
    scales = [start.scale * (1 - LATER_SPAN) + step * spacing for step in range(FINER)]
    return [Parameters(scale, integer) for integer in nearby for scale in scales], spacing


def _integers(problem: Problem) -> list[Tensor]:
    """Zero points around the present one (the published code: around the middle code, wherever the
    present one is); of integers that shape the grid those that are best at the present scale.
    """
    shapes = problem.shapes()
    if not shapes:
        return problem.family.integers_near(MOST_INTEGERS)
    return list(Beam.of(problem, shapes).best(MOST_INTEGERS).integer)


def _positive(scale: Tensor, usual: Tensor) -> Tensor:
    return torch.maximum(scale, usual * 1e-3)
