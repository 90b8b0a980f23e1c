"""What `fullint compare` shows on stderr while it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from fullint.cli.console import STEPS, printable

if TYPE_CHECKING:
    from fullint.recipe_comparison.grid import Outcome


class ComparisonProgress:
    """A line for each finished cell; on a terminal also bars for the cell and for the grid."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._grid = self._progress.add_task("cells", total=None)
        self._step: TaskID | None = None
        self._cell = self._shown = ""

    def __enter__(self) -> ComparisonProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def note(self, sentence: str) -> None:
        """A line."""
        self._console.print(Text(printable(sentence)), soft_wrap=True)

    def begin(self, what: str) -> None:
        """The lower bar is about this now."""
        self._cell = what

    def step(self, step: str, done: int, total: int) -> None:
        """The lower bar."""
        description = printable(f"{self._cell}: {STEPS.get(step, step)}")
        if self._step is None or description != self._shown:
            if self._step is not None:
                self._progress.remove_task(self._step)
            self._step, self._shown = self._progress.add_task(description, total=None), description
        shown_total = total if total > 1 or done else None  # a step in one piece: a moving bar
        self._progress.update(self._step, completed=done, total=shown_total)

    def finished(self, outcome: Outcome, done: int, total: int, seconds_left: float | None) -> None:
        """The upper bar, and a line with the cell's figures."""
        left = "" if not seconds_left else f"; {_duration(seconds_left)} left"
        self.note(f"[{done}/{total}] {outcome.cell}: {_figures(outcome)}{left}")
        self._progress.update(self._grid, description=f"cells{left}", completed=done, total=total)


def _figures(outcome: Outcome) -> str:
    if outcome.file is None:
        return f"failed: {outcome.error}"
    figures = [
        f"{name} top-1 {values['top1']:.2f}, agreement {values['agreement']:.2f}"
        for name, values in outcome.file.result["figures"].items()
    ]
    return f"{'; '.join(figures)}; {outcome.file.result['total_seconds']:.0f} s"


def _duration(seconds: float) -> str:
    """For people: an estimate is no better than its first digits."""
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
