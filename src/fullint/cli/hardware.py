"""`fullint hardware`: what the hardware units cost."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from fullint.cli.console import print_table
from fullint.cli.extra import hardware_extra
from fullint.cli.model_run import run_model
from fullint.hardware.synthesis import DEFAULT_DELAY
from fullint.integer.output_directory import check_file


def hardware(
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", help="Only this one, as the table names it; may be repeated."),
    ] = None,
    lanes: Annotated[int, typer.Option(min=1, help="Elements a clock cycle.")] = 16,
    row_length: Annotated[
        int, typer.Option(min=1, max=65535, help="Longest row of a softmax unit.")
    ] = 256,
    channels: Annotated[
        int, typer.Option(min=1, max=16383, help="Channels of a LayerNorm unit.")
    ] = 192,
    liberty: Annotated[
        Path | None,
        typer.Option(
            help="Cell library, a .lib or .lib.gz file; without, one in gate equivalents.",
            show_default=False,
        ),
    ] = None,
    delay: Annotated[
        int, typer.Option(min=1, help="Delay in picoseconds that the mapping to gates aims at.")
    ] = DEFAULT_DELAY,
    clock_gating: Annotated[
        bool, typer.Option(help="Gate the clocks of registers, not their inputs.")
    ] = True,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Saved model whose rows the gates are sent; without, random rows.",
            show_default=False,
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Images for the model's run; without, random pixels.", show_default=False
        ),
    ] = None,
    accuracy: Annotated[
        Path | None,
        typer.Option(
            help="results.csv of 'fullint compare --softmax ... --layernorm ...', to show too.",
            show_default=False,
        ),
    ] = None,
    results_file: Annotated[
        Path | None, typer.Option(help="Also write the table to this CSV file.")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(help="Draw area and accuracy to this PNG or SVG file.")
    ] = None,
) -> None:
    """Synthesize the softmax and LayerNorm units: area, critical path, cycles and energy a row.

    The gates are simulated and compared with the NumPy operation; their toggles and the library's
    energies give the energy of a row. Yosys comes with 'fullint[hardware]'; the critical path needs
    OpenSTA ('sta'). Half a minute to five minutes a unit.

    \b
    Examples:
      fullint hardware --unit e2softmax
      fullint hardware --liberty sky130_fd_sc_hd__tt_025C_1v80.lib.gz --model out/ \
          --data-dir images/ --chart units.png
    """
    with hardware_extra():
        from fullint.hardware.liberty import GATE_EQUIVALENTS, read_liberty
        from fullint.hardware.report import characterize, default_cases
        from fullint.hardware.results import (
            COLUMNS,
            check_chart,
            draw_chart,
            read_accuracy,
            table_row,
            write_csv,
        )
    cases = default_cases(lanes, row_length, channels)
    names = [case.name for case in cases]
    for name in unit or []:
        if name not in names:
            raise typer.BadParameter(f"--unit '{name}' is none of {', '.join(names)}")
    if data_dir and not model:
        raise typer.BadParameter("'--data-dir' is for the run of a '--model'")
    cases = [case for case in cases if not unit or case.name in unit]
    for path in filter(None, (results_file, chart)):
        check_file(path)
    if chart:
        check_chart(chart)
    known = read_accuracy(accuracy) if accuracy else {}
    with tempfile.TemporaryDirectory() as folder:
        library = read_liberty(liberty or GATE_EQUIVALENTS, Path(folder))
        run = run_model(model, data_dir) if model else None
        if run:
            for case in cases:
                case.model_vectors(run)  # says what the model lacks before the long work
        reports = [
            characterize(
                case, library, Path(folder), run=run, delay=delay, clock_gating=clock_gating
            )
            for case in cases
        ]
    typer.echo(
        f"cells: {library.name}, one gate equivalent is an area of {library.gate_equivalent}"
    )
    print_table(COLUMNS, [table_row(report, known) for report in reports])
    if results_file:
        write_csv(reports, known, results_file)
    if chart:
        draw_chart(reports, known, library.name, chart)
