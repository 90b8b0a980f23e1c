"""`fullint quantize`: from a float model and a folder of images to a saved integer model."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import fullint
from fullint.cli.console import StepProgress, print_facts, warn
from fullint.cli.extra import quantize_extra
from fullint.cli.facts import integer_line, peak_memory, quantization_facts
from fullint.cli.interrupts import interrupts
from fullint.cli.options import (
    Checkpoint,
    CropMode,
    GeluName,
    ImagesAtOnce,
    LayerNormName,
    RecipeName,
    SoftmaxName,
    Strict,
)
from fullint.cli.skipped import describe_skipped
from fullint.data import ClassMap, ImageFolder
from fullint.errors import FullintError
from fullint.integer import artifact

if TYPE_CHECKING:
    from fullint.calibration import CalibrationSet
    from fullint.integer.model import IntegerModel
    from fullint.sources import ModelSource


def quantize(
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
    output: Annotated[
        Path, typer.Option("--output", "-o", help="New folder to write.", show_default=False)
    ],
    checkpoint: Checkpoint = None,
    recipe: RecipeName = "default",
    bits: Annotated[
        str | None,
        typer.Option(
            metavar="wNaM",
            help="Bits of weights and activations, 4 to 8, instead of the recipe's: w4a8.",
            show_default=False,
        ),
    ] = None,
    softmax: SoftmaxName = None,
    layernorm: LayerNormName = None,
    gelu: GeluName = None,
    images: Annotated[
        int, typer.Option(min=1, help="Use at most so many, evenly spread over the folder.")
    ] = 128,
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
            help="File that names the classes, one id a line; ImageNet's are known without.",
            show_default=False,
        ),
    ] = None,
    strict: Strict = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a saved model in the output folder.")
    ] = False,
) -> None:
    """Turn a vision transformer into an integer-only model; save it.

    No retraining: a hundred unlabelled images of the kind that the model was made for are enough.

    \b
    Examples:
      fullint quantize deit_tiny_patch16_224 --data-dir images/ -o out/
      fullint quantize deit_tiny_patch16_224 --checkpoint W.safetensors --data-dir images/ \\
          --recipe fq-vit --images 256 -o out/
      fullint quantize deit_tiny_patch16_224 --bits w4a8 --data-dir images/ -o out/
      fullint quantize deit_tiny_patch16_224 --softmax e2softmax --layernorm ailayernorm \\
          --gelu shiftgelu --data-dir images/ -o out/
      fullint quantize vit_small_patch16_224 --checkpoint flowers.safetensors --num-classes 102 \\
          --class-map flowers.txt --data-dir flowers/train/ -o out/
    """
    start = time.monotonic()
    # Whatever can be refused is refused before the long work.
    artifact.check_output(output, overwrite=overwrite)
    ImageFolder.scan(data_dir)
    given = {"num_classes": num_classes, "img_size": img_size}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    with StepProgress() as progress, quantize_extra():
        from fullint.calibration import CalibrationSet
        from fullint.recipes import find_recipe, with_operations

        chosen = find_recipe(recipe) if bits is None else find_recipe(recipe).with_bits(bits)
        chosen = with_operations(chosen, softmax, layernorm, gelu)
        progress("load", 0, 1)
        source = fullint.load_timm_model(
            model, checkpoint, crop_pct=crop_pct, crop_mode=crop_mode, **options
        )
        if class_map is not None:
            source = _with_class_ids(source, class_map)
        progress("load", 1, 1)
        calibration = CalibrationSet(
            data_dir, source.preprocessing, limit=images, batch_size=batch_size, strict=strict
        )
        result = fullint.quantize(source, calibration, recipe=chosen, progress=progress)
        progress("save", 0, 1)
        with interrupts.held_back(f"the model was saved in {str(output)!r} before"):
            result.save(output, overwrite=overwrite)
        progress("save", 1, 1)
    _report(result, calibration, output, time.monotonic() - start)
    typer.echo(f"\nNow measure it:\n  {_next_command(model, checkpoint, output)}")


def _with_class_ids(source: ModelSource, path: Path) -> ModelSource:
    """The classes' ids are the names in a class map, which must give each class one."""
    classes: int = source.model.num_classes  # type: ignore[assignment]
    index_of = ClassMap.from_file(path, classes).index_of
    names = {index: name for name, index in index_of.items()}
    if len(names) != classes or len(index_of) != classes:
        raise FullintError(
            f"class map {str(path)!r} has {len(index_of)} names for {len(names)} of the model's "
            f"{classes} classes; to name the classes it needs one name for each"
        )
    ids = tuple(names[index] for index in range(classes))
    return replace(source, class_ids=ids, class_names=None)


def _report(model: IntegerModel, calibration: CalibrationSet, output: Path, seconds: float) -> None:
    skipped = calibration.skipped
    for sentence in describe_skipped(skipped):
        warn(sentence)
    facts: list[tuple[str, Any]] = [
        *quantization_facts(model),
        ("skipped images", len(skipped)),
        ("time", f"{seconds:.1f} s, peak memory {peak_memory()}"),
        ("saved in", output),
    ]
    print_facts(facts)
    typer.echo(integer_line(model))


def _next_command(model: str, checkpoint: Path | None, output: Path) -> str:
    weights = "" if checkpoint is None else f" --checkpoint {shlex.quote(str(checkpoint))}"
    reference = f"--reference {shlex.quote(model)}{weights}"
    return f"fullint evaluate {shlex.quote(str(output))} --data-dir FOLDER {reference}"
