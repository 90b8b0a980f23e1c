"""`fullint hardware`: what the hardware units cost."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fullint.cli.console import print_table
from fullint.cli.extra import hardware_extra

if TYPE_CHECKING:
    from fullint.hardware.report import UnitReport


def hardware(
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", help="Only this one, as the table names it; may be repeated."),
    ] = None,
    lanes: Annotated[int, typer.Option(min=1, help="Elements a clock cycle.")] = 16,
    row_length: Annotated[int, typer.Option(min=1, help="Longest row of a softmax unit.")] = 256,
    channels: Annotated[int, typer.Option(min=1, help="Channels of a LayerNorm unit.")] = 192,
    liberty: Annotated[
        Path | None,
        typer.Option(
            help="Cell library, a .lib or .lib.gz file; without, one in gate equivalents.",
            show_default=False,
        ),
    ] = None,
    delay: Annotated[
        int, typer.Option(min=1, help="Delay in picoseconds that the mapping to gates aims at.")
    ] = 4000,
    clock_gating: Annotated[
        bool, typer.Option(help="Gate the clocks of registers, not their inputs.")
    ] = True,
    chart: Annotated[
        Path | None, typer.Option(help="Draw the areas to this PNG or SVG file.")
    ] = None,
) -> None:
    """Synthesize the softmax and LayerNorm units: area, critical path, cycles a row.

    Each is first simulated against its NumPy operation. Yosys comes with 'fullint[hardware]'; a C++
    compiler has to be there, and OpenSTA ('sta') for the critical path. A minute or two a unit.

    \b
    Examples:
      fullint hardware --unit e2softmax
      fullint hardware --liberty sky130_fd_sc_hd__tt_025C_1v80.lib.gz --chart units.png
    """
    with hardware_extra():
        from fullint.hardware.liberty import GATE_EQUIVALENTS, read_liberty
        from fullint.hardware.report import characterize, default_cases, draw_chart
    cases = default_cases(lanes, row_length, channels)
    names = [case.name for case in cases]
    for name in unit or []:
        if name not in names:
            raise typer.BadParameter(f"'{name}' is none of {', '.join(names)}")
    with tempfile.TemporaryDirectory() as folder:
        library = read_liberty(liberty or GATE_EQUIVALENTS, Path(folder))
        reports = [
            characterize(case, library, Path(folder), delay=delay, clock_gating=clock_gating)
            for case in cases
            if not unit or case.name in unit
        ]
    typer.echo(
        f"cells: {library.name}, one gate equivalent is an area of {library.gate_equivalent}"
    )
    print_table(
        (
            "unit",
            "lanes",
            "row",
            "datapath GE",
            "buffer GE",
            "sum GE",
            "area",
            "ns",
            "cycles a row",
        ),
        [_row(report) for report in reports],
    )
    if chart:
        draw_chart(reports, library.name, chart)


def _row(report: UnitReport) -> tuple[object, ...]:
    return (
        report.name,
        report.lanes,
        report.row_length,
        f"{report.datapath:,.0f}",
        f"{report.buffer:,.0f}",
        f"{report.datapath + report.buffer:,.0f}",
        f"{report.area:,.0f}",
        "" if report.nanoseconds is None else f"{report.nanoseconds:.2f}",
        f"{report.cycles_per_row:.1f}",
    )
