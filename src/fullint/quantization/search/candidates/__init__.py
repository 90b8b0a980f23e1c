"""Candidate generators: which grids a search tries, one file each. To add one, write a function of
a Problem, name it in `SearchConfig.candidates` and in the table below.
"""

from __future__ import annotations

from collections.abc import Callable

from fullint.quantization.search.candidates.base import Best, Errors, Problem
from fullint.quantization.search.candidates.linear import linear
from fullint.quantization.search.candidates.percentile import percentile
from fullint.quantization.search.candidates.progressive import progressive

__all__ = ["GENERATORS", "Best", "Errors", "Problem"]

GENERATORS: dict[str, Callable[[Problem], Best]] = {
    "linear": linear,
    "percentile": percentile,
    "progressive": progressive,
}
