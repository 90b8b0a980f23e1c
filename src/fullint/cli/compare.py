"""`fullint compare`: recipes at several bit widths on one model, measured alike."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fullint.cli.comparison_progress import ComparisonProgress
from fullint.cli.console import print_table, printable, warn
from fullint.cli.extra import quantize_extra
from fullint.cli.interrupts import interrupts
from fullint.cli.options import Checkpoint, CropMode, ImagesAtOnce, Operations
from fullint.errors import FullintError
from fullint.integer.output_directory import replace_file

if TYPE_CHECKING:
    from fullint.recipe_comparison.cells import Choices
    from fullint.recipe_comparison.float_reference import FloatReference
    from fullint.recipe_comparison.grid import Outcome
    from fullint.recipe_comparison.job import Job


def compare(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="timm's name of the model, or hf-hub:OWNER/NAME, or local-dir:FOLDER.",
            show_default=False,
        ),
    ],
    data_dir: Annotated[
        Path,
        typer.Option(help="Folder of calibration images, labels not needed.", show_default=False),
    ],
    val_dir: Annotated[
        list[Path],
        typer.Option(
            help="Folder with one sub-folder of images a class, to measure on; may be repeated.",
            show_default=False,
        ),
    ],
    recipes: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Recipes, patterns with wildcards and YAML files, with commas between.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder for results, and to go on from.", show_default=False
        ),
    ],
    checkpoint: Checkpoint = None,
    bits: Annotated[
        str | None,
        typer.Option(
            metavar="PAIRS",
            help="Bits of weights and activations, such as w8a8,w4a4, for each recipe.  "
            "[each recipe's own]",
            show_default=False,
        ),
    ] = None,
    softmax: Operations = None,
    layernorm: Operations = None,
    gelu: Operations = None,
    images: Annotated[
        int, typer.Option(min=1, help="Calibrate on at most so many, evenly spread.")
    ] = 128,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Measure on at most so many a folder, evenly spread.")
    ] = None,
    batch_size: ImagesAtOnce = 16,
    crop_pct: Annotated[
        float | None, typer.Option(min=0.01, help="Crop fraction, instead of the model's own.")
    ] = None,
    crop_mode: CropMode = None,
    num_classes: Annotated[
        int | None, typer.Option(min=1, help="Classes of the checkpoint, instead of the model's.")
    ] = None,
    img_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the input, instead of the model's.")
    ] = None,
    class_map: Annotated[
        Path | None,
        typer.Option(
            help="File with the class of each folder, as for 'fullint evaluate'.",
            show_default=False,
        ),
    ] = None,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Save every integer model in OUTPUT/models.")
    ] = False,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Compute also what an earlier run left.")
    ] = False,
) -> None:
    """Compare recipes at several bit widths on one model.

    Every recipe at every pair of bit widths is calibrated on the same images and measured on the
    same images, in a process of its own: on the integer program, or, where a recipe has none, on
    its simulation in float, which the results then say. A run that was interrupted goes on where it
    was when the same command is given again; what was computed with other weights, images, recipes
    or versions is computed anew. Writes results.csv, results.md, accuracy.png and accuracy.svg.

    \b
    Examples:
      fullint compare deit_tiny_patch16_224 --checkpoint W.safetensors --data-dir calib/ \\
          --val-dir val/ --recipes 'repq*,adalog,best' --bits w8a8,w6a6,w4a4 -o results/
      fullint compare deit_tiny_patch16_224 --data-dir calib/ --val-dir val/ --val-dir photos/ \\
          --recipes 'default,my/recipe.yaml' --crop-mode plain -o results/
      fullint compare deit_tiny_patch16_224 --data-dir calib/ --val-dir val/ --recipes sole \\
          --softmax exact,shiftmax,e2softmax --layernorm exact,ailayernorm -o results/
    """
    given = {"num_classes": num_classes, "img_size": img_size}
    with quantize_extra():
        from fullint.recipe_comparison.cells import Choices, plan_cells
        from fullint.recipe_comparison.grid import Grid
        from fullint.recipe_comparison.job import Job

        choices = Choices(softmax, layernorm, gelu)
        cells = plan_cells(recipes, bits, choices)
        job = Job(
            model=model,
            checkpoint=None if checkpoint is None else str(checkpoint),
            calibration=str(data_dir),
            validation=tuple(map(str, val_dir)),
            calibration_images=images,
            limit=limit,
            batch_size=batch_size,
            class_map=None if class_map is None else str(class_map),
            crop_pct=crop_pct,
            crop_mode=crop_mode,
            model_options={name: value for name, value in given.items() if value is not None},
        )
        kept = f"what was finished is kept in {str(output)!r}; the same command goes on from there"
        outcomes: list[Outcome] = []
        with ComparisonProgress() as progress:
            grid = Grid(job, cells, output, progress, keep_models=keep_models, recompute=recompute)
            references = grid.references()
            with interrupts.held_back(kept):
                pass  # from here on, something is
            command = _command(job, recipes, bits, choices)
            for outcome in grid.run():
                outcomes.append(outcome)
                if not outcome.kept:
                    _write_tables(job, command, outcomes, references, output)
            _write_tables(job, command, outcomes, references, output)
        _finish(outcomes, references, output)


def _command(job: Job, recipes: str, bits: str | None, choices: Choices) -> str:
    """The command with names instead of paths, for the results."""
    words = ["fullint", "compare", job.model]
    if job.checkpoint is not None:
        words += ["--checkpoint", Path(job.checkpoint).name]
    words += ["--data-dir", Path(job.calibration).resolve().name]
    for name in job.validation_names:
        words += ["--val-dir", name]
    words += ["--recipes", ",".join(Path(part.strip()).name for part in recipes.split(","))]
    options = {
        "bits": bits,
        "softmax": choices.softmax,
        "layernorm": choices.layer_norm,
        "gelu": choices.gelu,
        "images": job.calibration_images,
        "limit": job.limit,
        "batch-size": job.batch_size,
        "crop-pct": job.crop_pct,
        "crop-mode": job.crop_mode,
        "class-map": None if job.class_map is None else Path(job.class_map).name,
    } | {name.replace("_", "-"): value for name, value in job.model_options.items()}
    for name, value in options.items():
        words += [] if value is None else [f"--{name}", str(value)]
    return f"{shlex.join(words)} -o results"


def _write_tables(
    job: Job,
    command: str,
    outcomes: Sequence[Outcome],
    references: Mapping[str, FloatReference],
    output: Path,
) -> None:
    from fullint.recipe_comparison.tables import result_rows, to_csv, to_markdown

    replace_file(output / "results.csv", to_csv(result_rows(outcomes)).encode())
    replace_file(output / "results.md", to_markdown(job, command, outcomes, references).encode())


def _finish(
    outcomes: Sequence[Outcome], references: Mapping[str, FloatReference], output: Path
) -> None:
    """Plot and show the results; an exit status other than 0 where a cell failed."""
    from fullint.recipe_comparison.chart import draw_chart
    from fullint.recipe_comparison.tables import MAIN_COLUMNS, formatted, ranked, result_rows

    rows = result_rows(outcomes)
    files = ["results.csv", "results.md"]
    try:
        files += [path.name for path in draw_chart(rows, references, output)]
    except FullintError as error:  # without matplotlib; the tables are there
        warn(f"no chart was drawn: {error}")
    for name, reference in references.items():
        result = reference.evaluation()
        typer.echo(
            f"{printable(name)}: {result.images} images, float Acc@1 {result.rate(result.top1)}"
        )
        print_table(
            [heading for heading, _, _ in MAIN_COLUMNS],
            [formatted(row, MAIN_COLUMNS) for row in ranked(rows) if row["data"] == name],
        )
    typer.echo(printable(f"saved in {output}: {', '.join(files)}"))
    failed = [outcome for outcome in outcomes if outcome.file is None]
    for outcome in failed:
        warn(f"{outcome.cell} failed: {outcome.error}")
    if failed:
        raise FullintError(f"{len(failed)} of {len(outcomes)} cells could not be measured")
