"""Patch convolutions: they become slice, reshape, permute, reshape and linear on NHWC data.

A convolution whose stride equals its kernel reads every pixel once, so it is a linear layer over
the patches. The one that reads the image takes the raw pixels: with x = (pixel / 255 - mean) / std,
its weight becomes w / (255 std) and its bias b - sum(w mean / std), computed in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fullint.capture import normal_form
from fullint.capture.builder import Builder, Value
from fullint.capture.rewrites.registry import rewrites
from fullint.capture.shapes import carries_batch, shape_of


@rewrites("aten.conv2d.default", "aten.conv2d.padding")
def conv2d(
    build: Builder,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] | str = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Value:
    """x (N, C, H, W), weight (O, C, patch height, patch width), bias (O) to (N, O, H', W')."""
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None):
        raise build.refusal("its weight or bias depends on the image")
    kernel, steps, dilations = (tuple(weight.shape[2:]), _pair(stride), _pair(dilation))
    unpadded = padding == "valid" or not any(padding) or (padding == "same" and kernel == (1, 1))
    if steps != kernel or not unpadded or groups != 1 or (dilations != (1, 1) and kernel != (1, 1)):
        raise build.refusal(
            "only convolutions that cut the image into patches (stride = kernel, no padding, no "
            f"groups) are in the normal form, and this one has kernel {kernel}, stride {steps}, "
            f"padding {padding}, dilation {dilations}, groups {groups}"
        )
    if x is build.image:
        x, (weight, bias) = build.pixels, _fold_normalisation(weight, bias, build.mean, build.std)
    else:
        x = build.permute(x, (0, 2, 3, 1))
    patches = _cut_into_patches(build, x, *kernel)
    flat_weight = weight.permute(0, 2, 3, 1).flatten(1)
    return build.permute(build.call(normal_form.linear, patches, flat_weight, bias), (0, 3, 1, 2))


def _pair(value: Sequence[int]) -> tuple[int, ...]:
    return tuple(value) * (2 // len(value))


def _cut_into_patches(build: Builder, x: Value, patch_height: int, patch_width: int) -> Value:
    """(N, H, W, C) to (N, rows, columns, patch height * patch width * C).

    Rows and columns of pixels that do not fill a patch are left out.
    """
    images, height, width, channels = shape_of(x)
    if not carries_batch(images):
        raise build.refusal("the batch is not the first axis of its input")
    rows, columns = height // patch_height, width // patch_width
    x = build.slice(x, 1, 0, rows * patch_height)
    x = build.slice(x, 2, 0, columns * patch_width)
    x = build.reshape(x, (images, rows, patch_height, columns, patch_width, channels))
    x = build.permute(x, (0, 1, 3, 2, 4, 5))
    return build.reshape(x, (images, rows, columns, patch_height * patch_width * channels))


def _fold_normalisation(
    weight: Tensor, bias: Tensor | None, mean: Sequence[float], std: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """The weight and bias that do to pixels 0 to 255 what these do to the normalised image."""
    exact = weight.double()
    offset, spread = (
        torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (mean, std)
    )
    bias_exact = torch.zeros(len(weight), dtype=torch.float64) if bias is None else bias.double()
    return (exact / (255 * spread)).float(), (
        bias_exact - (exact * offset / spread).sum((1, 2, 3))
    ).float()
