"""What the tests of image loading share."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

RandomImage = Callable[..., Image.Image]


@pytest.fixture(scope="session")
def timm() -> Any:
    """The timm module, the oracle for preprocessing, or a skip where it is not installed."""
    if find_spec("torch") is None or find_spec("timm") is None:
        pytest.skip("needs timm: pip install 'fullint[quantize]'")
    from fullint.capture.torchvision_compat import import_timm

    return import_timm()


@pytest.fixture(scope="session")
def random_image() -> RandomImage:
    """Function of (seed, width, height, mode="RGB") to an image."""
    return _random_image


def _random_image(seed: int, width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Noise over a gradient, so that a shift by one pixel and a change of filter both show."""
    noise = np.random.default_rng(seed).integers(0, 80, (height, width, 4))
    ramp = np.linspace(0, 175, width)[np.newaxis, :, np.newaxis]
    image = Image.fromarray((noise + ramp).astype(np.uint8), "RGBA")
    return image if mode == "RGBA" else image.convert("RGB").convert(mode)


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Three classes of small images in several formats, with clutter that is no image."""
    root = tmp_path / "images"
    files = ["b/2.PNG", "b/10.jpg", "a/deep/er/x.webp", "a/y.ppm", "c/z.bmp", "c/u.gif", "c/t.tif"]
    for seed, name in enumerate(files):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _random_image(seed, 20 + seed, 30 - seed).save(path)
    (root / "a" / "notes.txt").write_text("not an image")
    (root / "a" / ".hidden.png").write_bytes(b"not listed")
    (root / ".cache").mkdir()
    (root / ".cache" / "thumbnail.png").write_bytes(b"not listed")
    return root
