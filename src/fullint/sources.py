"""Where float models come from: timm's model names, and checkpoints on disk."""

from __future__ import annotations

import difflib
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fullint.capture.torchvision_compat import import_timm
from fullint.data import Preprocessing, imagenet_class_ids, imagenet_class_names
from fullint.errors import FullintError


@dataclass(frozen=True)
class ModelSource:
    """A float model with what timm knows about it.

    Attributes:
        name: timm's name.
        model: in evaluation mode.
        preprocessing: of its evaluation.
        checkpoint: file the weights came from; None for timm's own.
    """

    name: str
    model: nn.Module
    preprocessing: Preprocessing
    checkpoint: Path | None = None
    class_ids: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    checkpoint_sha256: str | None = None

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Float logits (images, classes) of uint8 pixels (images, height, width, channels)."""
        mean, std = (
            torch.tensor(values) for values in (self.preprocessing.mean, self.preprocessing.std)
        )
        with torch.inference_mode():
            normalized = (torch.from_numpy(pixels).float() / 255 - mean) / std
            output = self.model(normalized.permute(0, 3, 1, 2))
            return getattr(output, "logits", output).numpy()


def load_timm_model(
    name: str,
    checkpoint: str | Path | None = None,
    *,
    crop_pct: float | None = None,
    crop_mode: str | None = None,
    pretrained: bool = True,
    **model_options: Any,
) -> ModelSource:
    """A timm model by name.

    Args:
        name: any name that `timm.create_model` takes, "hf-hub:..." and "local-dir:..." included.
        checkpoint: weights to load instead of timm's pretrained ones (safetensors, or a torch file
            without pickled code).
        crop_pct, crop_mode: of `Preprocessing`, instead of the model's own.
        pretrained: without a checkpoint, False leaves random weights.
        model_options: for `timm.create_model`: num_classes, img_size, patch_size ...

    Raises:
        FullintError: unknown name (with near ones), weights that are missing, damaged or do not
            fit.
    """
    timm = import_timm()
    local = None if checkpoint is None else Path(checkpoint)
    if local is not None and not local.is_file():
        raise FullintError(f"checkpoint '{local}' is not a file")
    _require_known(timm, name)
    download = pretrained and local is None
    try:
        model = timm.create_model(name, pretrained=download, **model_options)
    except Exception as error:  # timm, hub and network code raise whatever they like
        advice = "; if its weights cannot be downloaded, give them with --checkpoint"
        raise FullintError(
            f"cannot create '{name}': {_first_line(error)}{advice if download else ''}"
        ) from error
    if local is not None:
        _load_weights(timm, model, local, name)
    elif download:
        _require_pretrained_head(model, name)
    # timm's configuration keeps the size of the pretrained model whatever size this one has.
    overrides: dict[str, Any] = {"crop_pct": crop_pct, "crop_mode": crop_mode}
    size = model_options.get("img_size")
    if size is not None:
        sides = (size, size) if isinstance(size, int) else tuple(size)
        overrides["input_size"] = (model_options.get("in_chans", 3), *sides)
    config = timm.data.resolve_model_data_config(model, args=overrides)
    classes = model.num_classes
    return ModelSource(
        name,
        model.eval(),
        Preprocessing.from_timm(config),
        local,
        imagenet_class_ids(classes),
        imagenet_class_names(classes),
        None if local is None else _sha256(local),
    )


def load_reference(
    name: str, checkpoint: str | Path | None, input_size: tuple[int, int, int], classes: int
) -> ModelSource:
    """The float model to compare an integer model with, made for its input and its classes.

    Args:
        name, checkpoint: as for `load_timm_model`.
        input_size: (height, width, channels) of the integer model.
        classes: of the integer model.

    Raises:
        FullintError: as `load_timm_model`, or the two models cannot be of the same origin.
    """
    height, width, channels = input_size
    options: dict[str, Any] = {}
    if checkpoint is not None:
        options["num_classes"] = classes
    config = (
        None if ":" in name else import_timm().get_pretrained_cfg(name, allow_unregistered=True)
    )
    if config is not None and height == width != config.input_size[-1]:
        options["img_size"] = height
    source = load_timm_model(name, checkpoint, **options)
    if config is None and height == width != source.preprocessing.height:
        source = load_timm_model(name, checkpoint, **options, img_size=height)
    spec = source.preprocessing
    for what, theirs, ours in (
        ("images", (spec.height, spec.width, spec.channels), (height, width, channels)),
        ("classes", source.model.num_classes, classes),
    ):
        if theirs != ours:
            raise FullintError(
                f"'{name}' has {what} {theirs}, the integer model {ours}, so they cannot be "
                "compared; name the model that it was quantized from"
            )
    return source


def _require_pretrained_head(model: Any, name: str) -> None:
    """timm leaves the head random where the number of classes is not that of the weights."""
    pretrained_classes = (model.pretrained_cfg or {}).get("num_classes")
    if pretrained_classes is not None and pretrained_classes != model.num_classes:
        raise FullintError(
            f"the pretrained weights of '{name}' have {pretrained_classes} classes, not "
            f"{model.num_classes}; give the weights that were trained for these classes with "
            "--checkpoint"
        )


def _require_known(timm: Any, name: str) -> None:
    if ":" in name or timm.is_model(name.split(".")[0]):
        return
    known = timm.list_models()
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() has the names"
    raise FullintError(f"unknown model '{name}'; {hint}")


def _load_weights(timm: Any, model: nn.Module, checkpoint: Path, name: str) -> None:
    try:
        # The model's own filter knows its older names, and brings positions to another image size.
        key_filter = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
        timm.models.load_checkpoint(
            model, str(checkpoint), strict=True, filter_fn=key_filter, weights_only=True
        )
    except Exception as error:  # whatever a damaged file makes its reader raise
        if isinstance(error, RuntimeError) and "loading state_dict" in str(error):
            raise FullintError(
                f"checkpoint '{checkpoint}' does not fit '{name}': {_misfit(error)}"
            ) from error
        raise FullintError(
            f"checkpoint '{checkpoint}' cannot be read: {_first_line(error)}"
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _misfit(error: RuntimeError) -> str:
    """The first reason in torch's list of them."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[1] if len(lines) > 1 else lines[0])[:300]


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300].rstrip(".")
