"""`fullint export`: a saved model's operations in other forms."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from fullint.cli.extra import hardware_extra
from fullint.cli.options import Artefact
from fullint.data import ImageFolder, ImageLoader, Preprocessing
from fullint.errors import FullintError
from fullint.integer.model import IntegerModel, load_model


class Form(StrEnum):
    """What to export to."""

    verilog = "verilog"


class UnitName(StrEnum):
    """Units whose vectors come from a model's run."""

    e2softmax = "e2softmax"


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

    Its vectors are rows of a run of the model, and what the integer operation makes of them: random
    rows of all layers and heads.

    \b
    Examples:
      fullint export out/ --to verilog --unit e2softmax --lanes 8 -o rtl/ --data-dir images/
      cd rtl && iverilog -g2005-sv -o test e2softmax.v e2softmax_test.v && vvp test
    """
    with hardware_extra():
        from fullint.hardware.cases import E2SoftmaxCase
        from fullint.hardware.verilog import export_verilog
        from fullint.hardware.workload import softmax_rows
    model = load_model(artefact)
    case = E2SoftmaxCase(lanes, 1)
    codes = softmax_rows(model.program, _pixels(model, data_dir), case.fraction_bits)
    chosen = np.random.default_rng(0).permutation(len(codes))[:rows]
    case = E2SoftmaxCase(lanes, codes.shape[-1], name=unit.value)
    written = export_verilog(case, case.vectors(codes[chosen]), output)
    typer.echo(
        f"{len(chosen)} rows of {codes.shape[-1]}; wrote "
        f"{', '.join(path.name for path in written)} to {output}"
    )


def _pixels(model: IntegerModel, data_dir: Path | None) -> np.ndarray:
    """One image, decoded as the model wants it."""
    if data_dir is None:
        shape = (1, *model.input_size)
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    if model.preprocessing is None:
        raise FullintError(
            "the model does not say how its images are prepared; leave --data-dir out"
        )
    preprocessing = Preprocessing.from_dict(model.preprocessing)
    paths = ImageFolder.scan(data_dir).paths[:1]
    images, _ = next(iter(ImageLoader(paths, preprocessing, batch_size=1)))
    return images
