"""Options that more than one command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Checkpoint = Annotated[
    Path | None,
    typer.Option(
        help="Weights to load instead of timm's pretrained ones: safetensors, or a torch file "
        "without pickled code.",
        show_default=False,
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse a damaged image instead of leaving it out.")
]
RecipeName = Annotated[
    str,
    typer.Option("--recipe", help="One of those that 'fullint recipes' lists, or a YAML file."),
]
SoftmaxName = Annotated[
    str | None,
    typer.Option(
        "--softmax",
        metavar="NAME",
        help="exact, log-int, shiftmax, e2softmax or itamax, instead of the recipe's.",
        show_default=False,
    ),
]
LayerNormName = Annotated[
    str | None,
    typer.Option(
        "--layernorm",
        metavar="NAME",
        help="exact, i-layernorm or ailayernorm, instead of the recipe's.",
        show_default=False,
    ),
]
GeluName = Annotated[
    str | None,
    typer.Option(
        "--gelu",
        metavar="NAME",
        help="table, shiftgelu or ibert, instead of the recipe's.",
        show_default=False,
    ),
]
Operations = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="As for 'fullint quantize', with commas between: each recipe with each.",
        show_default=False,
    ),
]
ImagesAtOnce = Annotated[
    int, typer.Option("--batch-size", min=1, help="Images at a time; memory grows with it.")
]
CropMode = Annotated[
    str | None,
    typer.Option(
        metavar="MODE",
        help="How images are cropped: center, squash or border as in timm, or plain, the middle of "
        "an image that is not resized.",
        show_default=False,
    ),
]
Artefact = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER", help="Folder that 'fullint quantize' wrote.", show_default=False
    ),
]
