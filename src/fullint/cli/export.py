"""`fullint export`: a saved model's operations in other forms."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from fullint.cli.extra import hardware_extra
from fullint.cli.model_run import run_model
from fullint.cli.options import Artefact


class Form(StrEnum):
    """What to export to."""

    verilog = "verilog"


class UnitName(StrEnum):
    """Units. Softmaxes take rows from any model; `layer_norm` also from an 8-bit `ailayernorm`."""

    e2softmax = "e2softmax"
    log2_softmax = "log2_softmax"
    ailayernorm = "ailayernorm"
    layer_norm = "layer_norm"


def export(
    artefact: Artefact,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="New or empty folder.", show_default=False),
    ],
    to: Annotated[Form, typer.Option("--to", help="Form to export to.")] = Form.verilog,
    unit: Annotated[UnitName, typer.Option(help="Hardware unit to write.")] = UnitName.e2softmax,
    lanes: Annotated[int, typer.Option(min=1, help="Elements a clock cycle.")] = 8,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Images for the run; without, random pixels.", show_default=False),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows in the vectors.")] = 1000,
) -> None:
    """Write a hardware unit as Verilog, with a test bench that checks itself.

    Its vectors are rows of a run of the model, and what the integer operation makes of them: of all
    softmax layers and heads, or of the LayerNorm in the middle of the model.

    \b
    Examples:
      fullint quantize deit_tiny_patch16_224 --recipe sole --data-dir images/ -o out/
      fullint export out/ --to verilog --unit e2softmax --lanes 8 -o rtl/ --data-dir images/
      cd rtl && iverilog -g2005-sv -o test e2softmax.v e2softmax_test.v && vvp test
    """
    with hardware_extra():
        from fullint.hardware.cases import chosen_rows
        from fullint.hardware.model_cases import case_of
        from fullint.hardware.verilog import check_folder, export_verilog
    check_folder(output)
    run = run_model(artefact, data_dir)
    case = case_of(unit.value, run, lanes)
    found = case.model_vectors(run)
    vectors = found[len(found) // 2]
    chosen = np.random.default_rng(0).permutation(vectors.rows)[:rows]
    written = export_verilog(case, chosen_rows(vectors, chosen), output)
    typer.echo(
        f"{len(chosen)} rows of {case.row_length}; wrote "
        f"{', '.join(path.name for path in written)} to {output}"
    )
