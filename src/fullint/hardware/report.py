"""What units cost in gates, time and clock cycles."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullint.errors import FullintError
from fullint.hardware.cases import (
    AILayerNormCase,
    Case,
    E2SoftmaxCase,
    LayerNormCase,
    Log2SoftmaxCase,
)
from fullint.hardware.liberty import GATE_EQUIVALENTS, Liberty
from fullint.hardware.simulation import Simulation
from fullint.hardware.streams import interface_of
from fullint.hardware.synthesis import synthesize
from fullint.hardware.timing import critical_path
from fullint.hardware.verilog import write_rtlil
from fullint.integer.output_directory import replace_file

# ITA's softmax (arXiv 2307.03493), 16 lanes, by the same flow and library: sky130_fd_sc_hd.
ITA_SOFTMAX_GATES = 36_300
ROWS_MEASURED = 40


@dataclass(frozen=True)
class UnitReport:
    """One unit in one library.

    Attributes:
        datapath, buffer: gate equivalents.
        area: in the library's unit.
        nanoseconds: critical path; None without OpenSTA or for a library of no process.
        cycles_per_row: clock cycles a row of the greatest length takes, one after another.
    """

    name: str
    lanes: int
    row_length: int
    datapath: float
    buffer: float
    area: float
    nanoseconds: float | None
    cycles_per_row: float


def default_cases(lanes: int, row_length: int, channels: int) -> list[Case]:
    """The units that `fullint hardware` compares."""
    return [
        E2SoftmaxCase(lanes, row_length),
        E2SoftmaxCase(lanes, row_length, fraction_bits=0, name="e2softmax_whole_octaves"),
        E2SoftmaxCase(lanes, row_length, natural=True, name="e2softmax_nats"),
        E2SoftmaxCase(lanes, row_length, output_bits=4, name="e2softmax_log2"),
        E2SoftmaxCase(lanes, row_length, known_maximum=True, name="e2softmax_known_maximum"),
        Log2SoftmaxCase(lanes, row_length),
        AILayerNormCase(lanes, channels),
        LayerNormCase(lanes, channels),
    ]


def characterize(
    case: Case, liberty: Liberty, directory: Path, *, delay: int, clock_gating: bool
) -> UnitReport:
    """Synthesize a unit, time its netlist, and count the cycles of simulated rows.

    Raises:
        FullintError: a tool is missing or fails, or the unit differs from its operation.
    """
    source = write_rtlil(case, directory)
    gates = synthesize(
        source, case.name, liberty, directory, delay=delay, clock_gating=clock_gating
    )
    timed = liberty.path != GATE_EQUIVALENTS.resolve()
    return UnitReport(
        name=case.name,
        lanes=case.lanes,
        row_length=case.row_length,
        datapath=gates.datapath,
        buffer=gates.buffer,
        area=gates.area,
        nanoseconds=critical_path(gates.netlist, case.name, liberty, directory) if timed else None,
        cycles_per_row=_cycles_per_row(case, source, directory / case.name),
    )


def _cycles_per_row(case: Case, source: Path, directory: Path) -> float:
    vectors = case.random_vectors(np.random.default_rng(0), ROWS_MEASURED, case.row_length)
    simulation = Simulation(source, case.name, interface_of(case.unit), vectors.settings, directory)
    found = simulation.run(vectors)
    if found.different:
        raise FullintError(f"{case.name}: {found.different} beats differ from the operation")
    return found.cycles / ROWS_MEASURED


def draw_chart(reports: Sequence[UnitReport], library: str, path: Path) -> None:
    """Gate equivalents of every unit, datapath and buffer, as bars, to a PNG or SVG file.

    Raises:
        FullintError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FullintError("charts need matplotlib: pip install 'fullint[plot]'") from error
    figure = Figure(figsize=(8, 0.9 + 0.5 * len(reports)), layout="constrained")
    axes = figure.add_subplot()
    shown = list(reports)[::-1]
    names = [f"{report.name} ({report.lanes} lanes, {report.row_length})" for report in shown]
    datapath = [report.datapath / 1000 for report in shown]
    axes.barh(names, datapath, color="#c8553d", label="datapath")
    bars = axes.barh(
        names, [r.buffer / 1000 for r in shown], left=datapath, color="#8a9ba8", label="row buffer"
    )
    axes.bar_label(bars, [f"{(r.datapath + r.buffer) / 1000:.1f}" for r in shown], padding=3)
    axes.axvline(
        ITA_SOFTMAX_GATES / 1000, color="black", linestyle=":", label="ITA's softmax (sky130)"
    )
    axes.set_xlabel(f"thousand gate equivalents, {library}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8)
    axes.margins(x=0.12)
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix[1:] or "png", dpi=150)
    replace_file(path, drawn.getvalue())
