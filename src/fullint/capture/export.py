"""Capture: from an nn.Module to the normal form."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram

from fullint.capture.builder import Builder
from fullint.capture.layout_cleanup import clean_layout
from fullint.capture.naming import named_graph_module
from fullint.capture.shapes import PROBE_BATCH
from fullint.capture.translation import translate
from fullint.errors import FullintError

# Far above what float32 rounding does to the logits, far below what a wrong rewrite does.
_TOLERANCE = 1e-3


def capture(
    model: nn.Module,
    *,
    input_size: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
) -> fx.GraphModule:
    """The model in normal form (see `normal_form`), reading pixels instead of a normalised image.

    model: returns logits (batch, classes), or an object that has them as `.logits`, for a float32
        batch (batch, channels, height, width). It is neither changed nor kept: all constants are
        copies.
    input_size: (channels, height, width).
    mean, std: one number a channel, for pixels scaled to 0 ... 1, as in timm's data configuration;
        folded into the patch convolution.

    Returns a GraphModule whose input is `pixels` (batch, height, width, channels), float, 0 to 255.
    Its logits for random pixels have been compared with the model's own. Raises FullintError for a
    model that cannot be captured, naming the operator and the module.
    """
    channels = input_size[0]
    if len(mean) != channels or len(std) != channels or min(std) <= 0:
        raise FullintError(
            f"mean {tuple(mean)} and std {tuple(std)} do not fit an image of {channels} channels; "
            "give one number a channel, for std a positive one"
        )
    _check_parameters(model)
    with _evaluation_mode(model), torch.no_grad():
        program = _export(model, input_size)
        build = Builder((PROBE_BATCH, *input_size), mean, std)
        translate(program, build)
        build.graph.eliminate_dead_code()
        clean_layout(build.graph)
        captured = named_graph_module(build.graph, build.constants, model)
        _compare(captured, model, input_size, mean, std)
    return captured


class _Logits(nn.Module):
    """The model with nothing but its logits as a result."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Any:
        output = self.model(image)
        return getattr(output, "logits", output)


def _check_parameters(model: nn.Module) -> None:
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            dtype = str(tensor.dtype).removeprefix("torch.")
            raise FullintError(
                f"parameter {name} is {dtype}, and only float32 models are captured; "
                "call model.float() first"
            )
        if tensor.device.type != "cpu":
            raise FullintError(
                f"parameter {name} is on {tensor.device}, and models are captured on the CPU; "
                "call model.cpu() first"
            )
        if not tensor.isfinite().all():
            raise FullintError(
                f"parameter {name} contains NaN or infinity; "
                "check the checkpoint that it was loaded from"
            )


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    """model.eval(), and every module as it was afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _export(model: nn.Module, input_size: tuple[int, int, int]) -> ExportedProgram:
    example = torch.zeros(2, *input_size)
    try:
        return torch.export.export(
            _Logits(model), (example,), dynamic_shapes=({0: Dim("batch")},), strict=False
        )
    # The model's own errors come through here as well, and torch.export's have no common class.
    except Exception as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FullintError(
            f"torch.export cannot trace {type(model).__name__} for images of {input_size}: "
            f"{textwrap.shorten(cause, 200)}; "
            "check that the model takes images of this size, in batches of any size"
        ) from error


def _compare(
    captured: fx.GraphModule,
    model: nn.Module,
    input_size: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
) -> None:
    """Refuse the result if its logits for two random images are not the model's own."""
    channels, height, width = input_size
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, height, width, channels), generator=generator).float()
    image = ((pixels / 255 - torch.tensor(mean)) / torch.tensor(std)).permute(0, 3, 1, 2)
    expected = _Logits(model)(image)
    largest = expected.abs().max().item()
    difference = (captured(pixels) - expected).abs().max().item()
    if not difference <= _TOLERANCE * largest + 1e-6:
        raise FullintError(
            f"the captured graph of {type(model).__name__} differs from the model by "
            f"{difference:.3g} in logits of up to {largest:.3g}; check that each image's logits do "
            "not depend on the rest of the batch, and report the model if so"
        )
