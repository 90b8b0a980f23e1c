"""A small model, a few images, and a way to run the command line in this process."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from fullint.cli import main

CLASSES = 3
IMAGES = 24


class Outcome(NamedTuple):
    """Exit status, stdout and stderr."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def run_main(*arguments: object) -> Outcome:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def run() -> Run:
    """Function of the arguments of `fullint` to what it did."""
    return run_main


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three class folders, c0 to c2, of eight small images."""
    root = tmp_path_factory.mktemp("data") / "images"
    write_images(root, IMAGES)
    return root


def write_images(root: Path, count: int, classes: int = CLASSES) -> None:
    random = np.random.default_rng(0)
    for index in range(count):
        path = root / f"c{index % classes}" / f"{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of timm's smallest ViT, for images of 32 x 32 and three classes."""
    if find_spec("torch") is None or find_spec("timm") is None:
        pytest.skip("needs timm: pip install 'fullint[quantize]'")
    import torch
    from safetensors.torch import save_file

    from fullint.capture.torchvision_compat import import_timm

    torch.manual_seed(0)
    model = import_timm().create_model("test_vit", img_size=32, num_classes=CLASSES)
    path = tmp_path_factory.mktemp("weights") / "W.safetensors"
    save_file(model.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def model_options(checkpoint: Path) -> list[str]:
    """The arguments of `fullint quantize` that say which model, all but images and output."""
    model = ["test_vit", "--img-size", "32", "--num-classes", str(CLASSES)]
    return [*model, "--checkpoint", str(checkpoint)]


@pytest.fixture(scope="session")
def quantized(
    tmp_path_factory: pytest.TempPathFactory, images: Path, model_options: list[str]
) -> tuple[Path, Outcome]:
    """A saved model, its classes named c0 to c2, and what `fullint quantize` said."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "classes.txt").write_text("c0\nc1\nc2\n")
    arguments = [*model_options, "--data-dir", images, "--class-map", folder / "classes.txt"]
    outcome = run_main("quantize", *arguments, "-o", folder / "out")
    assert outcome.code == 0, outcome.err
    return folder / "out", outcome


@pytest.fixture(scope="session")
def artefact(quantized: tuple[Path, Outcome]) -> Path:
    """The saved model; not to be changed."""
    return quantized[0]
