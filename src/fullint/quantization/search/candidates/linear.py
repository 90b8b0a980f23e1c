"""linear: evenly spaced factors of the present scale (EasyQuant, PTQ4ViT section 3.3)."""

from __future__ import annotations

import numpy as np

from fullint.quantization.search.candidates.base import Best, Problem
from fullint.quantization.search.parameters import Parameters


def linear(problem: Problem) -> Best:
    """`count` factors from `low` to `high`. The range grows about zero, so that the zero point
    stays. Grids with a shape of their own (a logarithm's base) have that searched first.
    """
    best = Best.present(problem)
    best.try_all(problem, problem.shapes())
    if problem.family.has_scale:
        start, config = best.parameters, problem.config
        factors = np.linspace(config.low, config.high, config.count).tolist()
        best.try_all(problem, (Parameters(start.scale * f, start.integer) for f in factors))
    return best
