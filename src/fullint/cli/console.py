"""What the commands print: facts and tables on stdout, progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

STEPS = {
    "load": "load the model",
    "capture": "trace the model",
    "calibrate": "measure ranges",
    "search": "search grids",
    "correct": "correct weights",
    "lower": "lower to integers",
    "save": "save",
}

_WIDTH_IN_FILES = 160


def printable(value: object) -> str:
    """Text on one line; a file's characters must not steer the terminal."""
    text = " ".join(str(value).splitlines())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def megabytes(count: int) -> str:
    """A size in bytes, for people."""
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count} bytes"


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Lines of a name and a value, the values below each other and never broken."""
    rows = list(facts)
    width = max(len(name) for name, _ in rows)
    console = Console(highlight=False)
    for name, value in rows:
        line = Text.assemble((name.ljust(width), "bold"), "  ", printable(value))
        console.print(line, soft_wrap=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; the first and the last column are text, the ones between numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        is_text = index in (0, len(columns) - 1)
        table.add_column(column, justify="left" if is_text else "right", no_wrap=index == 0)
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row))
    console = Console(highlight=False)
    if not console.is_terminal:  # nothing tells how wide the reader's lines are
        console.width = _WIDTH_IN_FILES
    console.print(table)


def warn(sentence: str) -> None:
    """Something that does not stop the command."""
    print(f"warning: {printable(sentence)}", file=sys.stderr)


class _Speed(ProgressColumn):
    """Images a second since the task began."""

    def render(self, task: Task) -> Text:
        elapsed = task.finished_time if task.finished else task.elapsed
        if task.total is None or not task.completed or not elapsed:
            return Text("")
        return Text(f"{task.completed / elapsed:.1f}/s")


class StepProgress:
    """One bar a step, each added when the step first reports; nothing where stderr is a file."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            _Speed(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> StepProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, step: str, done: int, total: int) -> None:
        """`done` of `total` of this step."""
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(STEPS.get(step, step))
        shown_total = total if total > 1 or done else None  # a step in one piece: a moving bar
        self._progress.update(self._tasks[step], total=shown_total, completed=done)
