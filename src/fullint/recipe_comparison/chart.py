"""The plot of a grid: accuracy against bits, one line a recipe."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fullint.errors import FullintError
from fullint.integer.output_directory import replace_file
from fullint.recipe_comparison.float_reference import FloatReference
from fullint.recipe_comparison.tables import Row, sort_key_of_bits

_FORMATS = ("png", "svg")


def draw_chart(
    rows: Sequence[Row], references: Mapping[str, FloatReference], folder: Path
) -> list[Path]:
    """Top-1 against bits, a panel a validation folder, to accuracy.png and accuracy.svg.

    Args:
        rows: of `tables.result_rows`; a simulation's line is dashed.

    Raises:
        FullintError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FullintError("charts need matplotlib: pip install 'fullint[plot]'") from error
    measured = [row for row in rows if "error" not in row]
    bits = sorted({row["bits"] for row in measured}, key=sort_key_of_bits)
    figure = Figure(figsize=(1.8 + 4.2 * len(references), 4.4), layout="constrained")
    panels = figure.subplots(1, len(references), squeeze=False)[0]
    for axes, (name, reference) in zip(panels, references.items(), strict=True):
        here = [row for row in measured if row["data"] == name]
        _draw_panel(axes, here, bits, reference)
        axes.set_title(f"{name}, {reference.evaluation().images} images", fontsize=10)
    panels[0].set_ylabel("top-1 in percent")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8, frameon=False
    )
    files = []
    for form in _FORMATS:
        drawn, path = io.BytesIO(), folder / f"accuracy.{form}"
        # The same results give the same file.
        with rc_context({"svg.hashsalt": "fullint"}):
            figure.savefig(
                drawn, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None
            )
        replace_file(path, drawn.getvalue())
        files.append(path)
    return files


def _draw_panel(
    axes: Any, rows: Sequence[Row], bits: Sequence[str], reference: FloatReference
) -> None:
    from matplotlib import colormaps

    colours, markers = colormaps["tab10"], "osD^v<>pXP*"  # of coprime lengths: all differ
    for index, recipe in enumerate(dict.fromkeys(row["recipe"] for row in rows)):
        own = sorted(
            (row for row in rows if row["recipe"] == recipe),
            key=lambda row: sort_key_of_bits(row["bits"]),
        )
        simulated = own[0]["runs_in"] == "simulation"
        axes.plot(
            [bits.index(row["bits"]) for row in own],
            [row["top1"] for row in own],
            label=f"{recipe} (simulation)" if simulated else recipe,
            linestyle="--" if simulated else "-",
            color=colours(index % colours.N),
            marker=markers[index % len(markers)],
            markersize=4,
            linewidth=1.2,
        )
    result = reference.evaluation()
    axes.axhline(result.rate(result.top1).percent, color="0.4", linestyle=":", label="float")
    axes.set_xticks(range(len(bits)), bits)
    axes.grid(axis="y", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
