"""percentile: ranges that leave out a share of the values at both ends."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from fullint.quantization.search.candidates.base import Best, Problem
from fullint.quantization.search.parameters import Parameters

# RepQ-ViT's three are in I&S-ViT's nine; the whole range is ours.
SHARES = (0.97, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9997, 0.9999, 0.99995, 0.99999, 1.0)


def percentile(problem: Problem) -> Best:
    """The published list of quantiles, as RepQ-ViT (arXiv 2212.08254) and I&S-ViT use it."""
    best = Best.present(problem)
    best.try_all(problem, problem.shapes())
    best.try_all(problem, _ranges(problem, best.parameters.integer))
    return best


def _ranges(problem: Problem, shape: Tensor) -> Iterator[Parameters]:
    family = problem.family
    for share in SHARES if family.has_scale else ():
        found = family.of_range(problem.quantile(1 - share), problem.quantile(share))
        yield Parameters(found.scale, shape) if family.integer_shapes else found
