"""Reports of units as a table, a CSV file and a chart."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from fullint.errors import FullintError
from fullint.hardware.report import UnitReport
from fullint.integer.output_directory import replace_file

# ITA's softmax (arXiv 2307.03493), 16 lanes, by Yosys on sky130_fd_sc_hd.
ITA_SOFTMAX_GATES = 36_300
# Names of softmax and LayerNorm in a comparison, for the units whose operation it can choose.
OPERATIONS = {
    "e2softmax": ("e2softmax", "exact"),
    "log2_softmax": ("log-int", "exact"),
    "ailayernorm": ("exact", "ailayernorm"),
    "layer_norm": ("exact", "exact"),
}
COLUMNS = (
    "unit",
    "lanes",
    "row",
    "datapath GE",
    "buffer GE",
    "sum GE",
    "area",
    "ns",
    "elements",
    "cycles a row",
    "pJ a row",
    "top-1",
    "agreement",
)


def read_accuracy(path: Path) -> dict[str, tuple[float, float]]:
    """Top-1 and agreement in percent of a model in which only a unit's operation is not exact.

    The file is that of a comparison of softmax and LayerNorm operations, `results.csv`.

    Raises:
        FullintError: no such CSV file.
    """
    try:
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["gelu"] == "table"]
        measured = {
            (row["softmax"], row["layernorm"]): (float(row["top1"]), float(row["agreement"]))
            for row in rows
        }
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise FullintError(
            f"{path} is no CSV file with columns softmax, layernorm, gelu, top1 and agreement"
        ) from error
    return {unit: measured[names] for unit, names in OPERATIONS.items() if names in measured}


def table_row(report: UnitReport, accuracy: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """A row of the table, one cell for each of COLUMNS."""
    top1, agreement = accuracy.get(report.name, (None, None))
    return (
        report.name,
        str(report.lanes),
        str(report.row_length),
        f"{report.datapath:,.0f}",
        f"{report.buffer:,.0f}",
        f"{report.gate_equivalents:,.0f}",
        f"{report.area:,.0f}",
        _cell(report.nanoseconds),
        str(report.measured_length),
        f"{report.cycles_per_row:.1f}",
        _cell(report.picojoules_per_row, 0),
        _cell(top1),
        _cell(agreement),
    )


def _cell(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def write_csv(
    reports: Sequence[UnitReport], accuracy: Mapping[str, tuple[float, float]], path: Path
) -> None:
    """The table, its numbers without thousands separators."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.replace(" ", "_") for column in COLUMNS)
    for report in reports:
        writer.writerow(cell.replace(",", "") for cell in table_row(report, accuracy))
    replace_file(path, text.getvalue().encode())


def check_chart(path: Path) -> None:
    """Refuse a chart that could not be drawn, before the long work.

    Raises:
        FullintError: matplotlib is not installed, or the name ends in neither .png nor .svg.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise FullintError("charts need matplotlib: pip install 'fullint[plot]'")
    if path.suffix.lower() not in (".png", ".svg"):
        raise FullintError(f"a chart is a .png or .svg file, and {path} is neither")


def draw_chart(
    reports: Sequence[UnitReport],
    accuracy: Mapping[str, tuple[float, float]],
    library: str,
    path: Path,
) -> None:
    """Gate equivalents of every unit as bars; with accuracies, area against top-1 beside them."""
    from matplotlib.figure import Figure

    known = [report for report in reports if report.name in accuracy]
    panels = 2 if known else 1
    figure = Figure(figsize=(7.5 * panels, 1.6 + 0.45 * len(reports)), layout="constrained")
    axes, *beside = figure.subplots(1, panels, squeeze=False)[0]
    shown = list(reports)[::-1]
    names = [f"{report.name} ({report.lanes} lanes, {report.row_length})" for report in shown]
    datapath = [report.datapath / 1000 for report in shown]
    buffer = [report.buffer / 1000 for report in shown]
    axes.barh(names, datapath, color="#c8553d", label="datapath")
    bars = axes.barh(names, buffer, left=datapath, color="#8a9ba8", label="row buffer")
    axes.bar_label(bars, [f"{report.gate_equivalents / 1000:.1f}" for report in shown], padding=3)
    axes.axvline(
        ITA_SOFTMAX_GATES / 1000, color="black", linestyle=":", label="ITA's softmax (sky130)"
    )
    axes.set_xlabel(f"thousand gate equivalents, {library}")
    axes.legend(fontsize=8)
    axes.margins(x=0.12)
    for panel in beside:
        for report in known:
            top1 = accuracy[report.name][0]
            panel.scatter(report.gate_equivalents / 1000, top1, color="#c8553d")
            panel.annotate(
                report.name,
                (report.gate_equivalents / 1000, top1),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=8,
            )
        panel.set_xscale("log")
        panel.margins(x=0.3, y=0.2)
        panel.set_xlabel("thousand gate equivalents")
        panel.set_ylabel("top-1 of the model with it, %")
    for panel in (axes, *beside):
        panel.spines[["top", "right"]].set_visible(False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix[1:], dpi=150)
    replace_file(path, drawn.getvalue())
