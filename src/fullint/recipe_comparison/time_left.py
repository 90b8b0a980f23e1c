"""How long the rest of a grid will take, from the cells that are done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from fullint.recipe_comparison.cells import Cell, CellFile


class TimeLeft:
    """Recipes differ in their time far more than bit widths do, so a cell is expected to take what
    its recipe took at other widths, or else the mean of all recipes.
    """

    def __init__(self, finished: Iterable[tuple[Cell, CellFile]]) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)
        for cell, file in finished:
            self.add(cell, file)

    def add(self, cell: Cell, file: CellFile) -> None:
        """A cell that is done."""
        self._seconds[cell.recipe.name].append(float(file.result["total_seconds"]))

    def estimate(self, remaining: Sequence[Cell]) -> float | None:
        """Seconds for these cells; None while nothing is known."""
        if not self._seconds:
            return None if remaining else 0.0
        means = {name: fmean(seconds) for name, seconds in self._seconds.items()}
        others = fmean(means.values())
        return sum(means.get(cell.recipe.name, others) for cell in remaining)
