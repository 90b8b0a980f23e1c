"""The chart of a benchmark."""

from __future__ import annotations

import io
import os
from pathlib import Path

from fullint.bench.results import ENGINE, BenchmarkResults
from fullint.errors import FullintError
from fullint.integer.output_directory import replace_file


def draw_chart(results: BenchmarkResults, path: str | os.PathLike[str]) -> None:
    """Images a second at every point, as bars, to a PNG or SVG file.

    Raises:
        FullintError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FullintError("charts need matplotlib: pip install 'fullint[plot]'") from error
    points = results.points()
    figure = Figure(figsize=(4.2 * len(points), 3.6), layout="constrained")
    for index, (batch, threads) in enumerate(points):
        axes = figure.add_subplot(1, len(points), index + 1)
        here = results.at(batch, threads)[::-1]
        colours = ["#c8553d" if m.name == ENGINE else "#8a9ba8" for m in here]
        bars = axes.barh([m.name for m in here], [m.images_per_second for m in here], color=colours)
        axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
        axes.margins(x=0.15)
        axes.set_title(f"batch {batch}, {threads} thread{'s' if threads > 1 else ''}", fontsize=10)
        axes.set_xlabel("images a second")
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{results.model} on {results.machine['cpu']} ({results.isa})", fontsize=11)
    target, drawn = Path(path), io.BytesIO()
    figure.savefig(drawn, format=target.suffix[1:] or "png", dpi=150)
    replace_file(target, drawn.getvalue())
