"""The demo's images and its model.

The images are scikit-learn's handwritten digits (1797 of 8 x 8 pixels, the test set of E. Alpaydin
and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998),
enlarged. The model is a small timm VisionTransformer; `scripts/train_digits.py` trains the
checkpoint that lies beside this file.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fullint.errors import FullintError

if TYPE_CHECKING:
    from torch import Tensor, nn

CHECKPOINT = Path(__file__).with_name("digits_vit.safetensors")
CLASS_COUNT = 10
IMAGE_SIZE = 32
# In the form of timm's data configuration, which is also attached to the model.
DIGITS_PREPROCESSING: dict[str, Any] = {
    "input_size": (3, IMAGE_SIZE, IMAGE_SIZE),
    "interpolation": "bicubic",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "crop_pct": 1.0,
    "crop_mode": "center",
}
HELD_OUT_EVERY = 4
HIGHEST_INK = 16  # the dataset's pixels are 0 ... 16


class DigitImages(NamedTuple):
    """``images``: uint8 (N, 32, 32, 3), white ink on black. ``labels``: int64 (N,), 0 to 9.

    ``held_out``: bool (N,), true for the images that the checkpoint was not trained on.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    held_out: NDArray[np.bool_]


def load_digit_images() -> DigitImages:
    """All 1797 digits, enlarged to 32 x 32 RGB, and which of them are held out (454).

    Raises FullintError where scikit-learn is not installed.
    """
    dataset = _import("sklearn.datasets").load_digits()
    labels = dataset.target.astype(np.int64)
    images = np.stack([_enlarge(ink) for ink in dataset.images])
    return DigitImages(images, labels, _every_nth_of_each_class(labels, HELD_OUT_EVERY))


def untrained_digits_model() -> nn.Module:
    """The demo's architecture, with random weights from torch's global generator."""
    _import("torch")
    from fullint.capture.torchvision_compat import import_timm

    model: nn.Module = import_timm().models.VisionTransformer(
        img_size=IMAGE_SIZE,
        patch_size=8,
        embed_dim=64,
        depth=4,
        num_heads=4,
        mlp_ratio=3.0,
        num_classes=CLASS_COUNT,
    )
    # timm.data.resolve_model_data_config finds a model's preprocessing here.
    model.pretrained_cfg = DIGITS_PREPROCESSING  # type: ignore[assignment]
    return model


def build_digits_model() -> nn.Module:
    """The trained model, in evaluation mode.

    Raises FullintError where torch or timm is not installed.
    """
    model = untrained_digits_model()
    model.load_state_dict(_import("safetensors.torch").load_file(CHECKPOINT))
    return model.eval()


def normalize_digits(pixels: Tensor) -> Tensor:
    """The float model's input (B, 3, 32, 32) from pixels 0 ... 255 of any dtype, (B, 32, 32, 3)."""
    torch = _import("torch")
    mean, std = (torch.tensor(DIGITS_PREPROCESSING[name]) for name in ("mean", "std"))
    normalized: Tensor = (pixels / 255 - mean) / std
    return normalized.permute(0, 3, 1, 2)


def _enlarge(ink: NDArray[np.float64]) -> NDArray[np.uint8]:
    gray = Image.fromarray(np.rint(ink * (255 / HIGHEST_INK)).astype(np.uint8))
    enlarged = gray.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    return np.asarray(enlarged.convert("RGB"))


def _every_nth_of_each_class(labels: NDArray[np.int64], step: int) -> NDArray[np.bool_]:
    """Bool (N,). Stratified, and no random generator, so that no library's version can move it."""
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        chosen[np.flatnonzero(labels == label)[::step]] = True
    return chosen


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise FullintError(
            f"the demo needs {error.name}, which is not installed here; "
            "run: pip install 'fullint[quantize]'"
        ) from error
