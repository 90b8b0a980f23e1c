"""`fullint demo`: the whole way, on a small model and images that are already on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

import fullint
from fullint import evaluation
from fullint.cli.console import StepProgress, print_facts
from fullint.cli.extra import quantize_extra
from fullint.cli.facts import integer_line, peak_memory, quantization_facts
from fullint.cli.interrupts import interrupts
from fullint.cli.options import RecipeName
from fullint.integer import artifact
from fullint.integer.model import IntegerModel, load_model

if TYPE_CHECKING:
    from fullint.demo import DigitImages

_BATCH = 32


def demo(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Keep the integer model in this new folder.", show_default=False
        ),
    ] = None,
    recipe: RecipeName = "default",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a saved model in the output folder.")
    ] = False,
) -> None:
    """Try the whole way on a small model that comes with fullint.

    The model is a vision transformer that reads handwritten digits, which come with scikit-learn.
    Ranges are measured on images that it was trained on, accuracy on images that it never saw.
    Takes less than a minute, and no network.

    \b
    Examples:
      fullint demo
      fullint demo --recipe fq-vit -o digits/
    """
    start = time.monotonic()
    if output is not None:
        artifact.check_output(output, overwrite=overwrite)
    with StepProgress() as progress, quantize_extra():
        import torch

        from fullint.demo import load_digit_images
        from fullint.demo.source import digits_calibration, digits_source
        from fullint.recipes import find_recipe

        chosen = find_recipe(recipe)
        torch.set_num_threads(1)  # so small a model's threads would wait for each other
        progress("load", 0, 1)
        source, digits = digits_source(), load_digit_images()
        progress("load", 1, 1)
        calibration = digits_calibration(digits, source)
        quantized = fullint.quantize(source, calibration, recipe=chosen, progress=progress)
        model = _saved_and_loaded(quantized, output, overwrite)
        labels = digits.labels[digits.held_out]
        result = evaluation.evaluate(
            model,
            _held_out_batches(digits),
            labels,
            source.logits,
            lambda done: progress("evaluate", done, len(labels)),
        )
    print_facts(
        [
            *quantization_facts(model),
            ("time", f"{time.monotonic() - start:.1f} s, peak memory {peak_memory()}"),
            *([] if output is None else [("saved in", output)]),
        ]
    )
    typer.echo(f"\n{len(labels)} digits that neither training nor calibration has seen:\n{result}")
    typer.echo(integer_line(model))


def _saved_and_loaded(model: IntegerModel, output: Path | None, overwrite: bool) -> IntegerModel:
    """What is measured is what a file holds, also where the file is not kept."""
    if output is not None:
        with interrupts.held_back(f"the model was saved in {str(output)!r} before"):
            model.save(output, overwrite=overwrite)
        return load_model(output)
    with interrupts.held_back(), TemporaryDirectory() as folder:
        model.save(Path(folder) / "digits")
        return load_model(Path(folder) / "digits")


def _held_out_batches(digits: DigitImages) -> Iterator[evaluation.Batch]:
    images = digits.images[digits.held_out]
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        yield batch, np.arange(start, start + len(batch))
