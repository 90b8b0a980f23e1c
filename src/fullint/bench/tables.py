"""Results of a benchmark as tables for the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table

from fullint.bench.results import ENGINE, BenchmarkResults, Measurement


def times_table(results: BenchmarkResults) -> Table:
    """A row for each runtime and a column for each batch size with each number of threads."""
    points = results.points()
    measured = {(m.name, m.batch, m.threads): m for m in results.measurements}
    peers = [name for name in dict.fromkeys(m.name for m in results.measurements) if name != ENGINE]
    best = [next((m for m in results.at(*point) if m.name != ENGINE), None) for point in points]
    table = _table(
        "milliseconds a run",
        *(f"batch {batch}\n{threads} thread{'s' * (threads > 1)}" for batch, threads in points),
    )
    for name in (ENGINE, *peers):
        times = [measured.get((name, *point)) for point in points]
        table.add_row(name, *(_time(m, m in best) for m in times))
    table.add_section()
    own = [measured[ENGINE, *point] for point in points]
    table.add_row(f"{ENGINE}, images/s", *(f"{m.images_per_second:.1f}" for m in own))
    if peers:
        ratios = [results.advantage(*point) for point in points]
        table.add_row(
            f"best peer / {ENGINE}", *("-" if r is None else f"{r:.2f} times" for r in ratios)
        )
    return table


def profile_table(results: BenchmarkResults) -> Table:
    """What takes the engine's time, and how fast its matrix products are."""
    table = _table("one image, one thread", "steps", "ms", "share", "M mult-adds", "GOPS", "GB/s")
    for step in results.profile:
        operations, seconds = step["operations"], step["seconds"]
        known = operations > 0 and seconds > 0
        table.add_row(
            step["kind"],
            str(step["steps"]),
            f"{1000 * seconds:.3f}",
            f"{100 * step['share']:.1f} %",
            f"{operations / 2e6:.1f}" if known else "",
            f"{operations / seconds / 1e9:.0f}" if known else "",
            f"{step['bytes'] / seconds / 1e9:.1f}" if seconds > 0 else "",
        )
    return table


def _time(measurement: Measurement | None, is_best: bool) -> str:
    if measurement is None:
        return "-"
    digits = 2 if measurement.milliseconds < 100 else 1
    spread = (measurement.high - measurement.low) / 2
    mark = " *" if is_best else ""
    return f"{measurement.milliseconds:.{digits}f} ±{spread:.{digits}f}{mark}"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    return table
