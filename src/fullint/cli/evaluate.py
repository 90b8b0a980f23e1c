"""`fullint evaluate`: accuracy of a saved model, and agreement with its float model."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fullint import evaluation
from fullint.cli.console import StepProgress, printable, warn
from fullint.cli.extra import quantize_extra
from fullint.cli.interrupts import interrupts
from fullint.cli.options import Artefact, Checkpoint, CropMode, ImagesAtOnce, Strict
from fullint.cli.skipped import describe_skipped
from fullint.data import ImageFolder, ImageLoader, Preprocessing, resolve_class_map
from fullint.data.selection import evenly_spread
from fullint.errors import FullintError
from fullint.integer import artifact
from fullint.integer.model import IntegerModel, load_model
from fullint.results_file import append_results, check_columns
from fullint.version import __version__

if TYPE_CHECKING:
    from fullint.sources import ModelSource


def evaluate(
    artefact: Artefact,
    data_dir: Annotated[
        Path,
        typer.Option(
            help="Folder with one sub-folder of images a class; a part of the classes will do.",
            show_default=False,
        ),
    ],
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Compare with this float model, as named for 'fullint quantize'; needs torch.",
            show_default=False,
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    class_map: Annotated[
        Path | None,
        typer.Option(
            help="File with the class of each folder, where its name is no class id of the model: "
            'lines of "folder index", or JSON.',
            show_default=False,
        ),
    ] = None,
    batch_size: ImagesAtOnce = 32,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Use at most so many images, evenly spread over the folder."),
    ] = None,
    crop_pct: Annotated[
        float | None,
        typer.Option(min=0.01, help="Crop fraction, instead of that saved with the model."),
    ] = None,
    crop_mode: CropMode = None,
    results_file: Annotated[
        Path | None, typer.Option(help="CSV file to append the result to.", show_default=False)
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Add the result to the saved model and its card.")
    ] = False,
    strict: Strict = False,
) -> None:
    """Measure the accuracy of a saved model on labelled images.

    Images are prepared as the saved model says. Their class comes from the name of their folder: a
    class id of the model (for ImageNet a WordNet id), or what --class-map gives. With
    --reference, the float model sees the same pixels, and agreement with it is measured too;
    without, no torch is needed. Rates are in percent, with their standard error.

    \b
    Examples:
      fullint evaluate out/ --data-dir val/
      fullint evaluate out/ --data-dir val/ --reference deit_tiny_patch16_224 \\
          --checkpoint W.safetensors --results-file results.csv --record
    """
    if checkpoint is not None and reference is None:
        raise typer.BadParameter("--checkpoint is that of the float model; give --reference too")
    if results_file is not None and not results_file.absolute().parent.is_dir():
        raise FullintError(f"results file {str(results_file)!r} lies in a folder that is not there")
    model = load_model(artefact)
    preprocessing = _preprocessing(model, crop_pct, crop_mode)
    origin = _origin(model, artefact)
    given = {
        "reference": reference or "",
        "crop_pct": preprocessing.crop_pct,
        "crop_mode": preprocessing.crop_mode,
    }
    if results_file is not None:  # refused now rather than after the work
        nothing = evaluation.Evaluation(images=1, top1=0, top5=0, k=1)
        check_columns(results_file, [*origin, "data", *nothing.row(), *given])
    loader, labels = _images(model, preprocessing, data_dir, class_map, limit, batch_size, strict)
    with StepProgress() as progress:
        predict = None
        if reference is not None:
            progress("load", 0, 1)
            predict = _float_model(reference, checkpoint, model).logits
            progress("load", 1, 1)
        start = time.monotonic()
        result = evaluation.evaluate(
            model, loader, labels, predict, lambda done: progress("evaluate", done, len(loader))
        )
        seconds = time.monotonic() - start
    for sentence in describe_skipped(loader.skipped):
        warn(sentence)
    typer.echo(result)
    # With a reference, most of the time is the float model's.
    rate = "" if reference else f", {result.images / seconds:.1f} images/s with decoding"
    typer.echo(f"{seconds:.1f} s{rate}")
    row = {"data": data_dir.resolve().name, **result.row(), **given}
    if results_file is not None:
        with interrupts.held_back(f"the result was added to {str(results_file)!r} before"):
            append_results(results_file, origin | row)
    if record:
        with interrupts.held_back(f"the result was recorded in {str(artefact)!r} before"):
            artifact.add_measurement(artefact, row)


def _preprocessing(
    model: IntegerModel, crop_pct: float | None, crop_mode: str | None
) -> Preprocessing:
    if model.preprocessing is None:
        raise FullintError(
            "the saved model does not say how images are prepared for it, so none can be read"
        )
    saved = Preprocessing.from_dict(model.preprocessing)
    return replace(
        saved, crop_pct=crop_pct or saved.crop_pct, crop_mode=crop_mode or saved.crop_mode
    )


def _images(
    model: IntegerModel,
    preprocessing: Preprocessing,
    data_dir: Path,
    class_map: Path | None,
    limit: int | None,
    batch_size: int,
    strict: bool,
) -> tuple[ImageLoader, Any]:
    """The images as the model wants them, and their class indices."""
    folder = ImageFolder.scan(data_dir)
    classes = resolve_class_map(folder.labels, model.classes, class_map, model.metadata.class_ids)
    labels = classes.indices(folder.labels)
    typer.echo(f"{len(folder)} images; classes by {printable(classes.origin)}", err=True)
    chosen = evenly_spread(len(folder), limit)
    paths = [folder.paths[index] for index in chosen]
    return ImageLoader(paths, preprocessing, batch_size, strict=strict), labels[chosen]


def _float_model(name: str, checkpoint: Path | None, model: IntegerModel) -> ModelSource:
    with quantize_extra():
        from fullint.sources import load_reference

        return load_reference(name, checkpoint, model.input_size, model.classes)


def _origin(model: IntegerModel, artefact: Path) -> dict[str, object]:
    provenance = model.metadata.provenance
    return {
        "artefact": artefact.resolve().name,
        "model": provenance.model or "",
        "recipe": provenance.recipe or "",
        "bits": "/".join(str(bits) for bits in provenance.bits.values()),
        "fullint_version": __version__,
    }
