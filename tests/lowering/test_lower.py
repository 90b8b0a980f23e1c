"""What lowering refuses, and what recipes can ask of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fullint.errors import FullintError
from fullint.integer.interpreter import run
from fullint.lowering import lower
from fullint.quantization.grids import UniformGrid
from fullint.recipes.schema import Log2Config, RowRelativeConfig, SoftmaxConfig, UniformConfig

from ..small_models import (
    calibrated,
    captured,
    changed,
    decibels,
    float_logits,
    images,
    lowered,
    model,
    vit,
    with_roles,
)


def quality(module: nn.Module, recipe: Any) -> float:
    """Signal to difference of the integer logits."""
    program = lower(calibrated(captured(module), recipe))
    batch = images(6)
    return decibels(float_logits(module, batch), run(program, batch) * program.logit_scale)


def edited(**tensors: Any) -> nn.Module:
    """A ViT with `parameter__name=function` applied to some parameters in place."""
    module = vit()
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, change in tensors.items():
            change(parameters[name.replace("__", ".")])
    return module


def zero_some(parameter: torch.Tensor) -> None:
    parameter[::5] = 0


@pytest.mark.parametrize("recipe", ["default", "fq-vit", "fq-vit-888"])
@pytest.mark.parametrize(
    "module",
    [
        # As in DeiT-tiny: a channel of a LayerNorm that is a point.
        pytest.param(
            lambda: edited(blocks__0__norm2__weight=zero_some, blocks__1__norm1__weight=zero_some),
            id="zero gains",
        ),
        pytest.param(lambda: edited(blocks__0__norm2__weight=torch.Tensor.zero_), id="zero norm"),
        pytest.param(
            lambda: edited(
                blocks__0__mlp__fc1__weight=zero_some, patch_embed__proj__weight=zero_some
            ),
            id="zero rows",
        ),
        pytest.param(
            lambda: edited(blocks__0__mlp__fc1__weight=lambda w: w[::5].mul_(1e-20)),
            id="dead rows",
        ),
        pytest.param(
            lambda: edited(
                blocks__1__attn__qkv__weight=lambda w: w[:16].zero_(),
                blocks__1__attn__qkv__bias=lambda b: b[:16].zero_(),
            ),
            id="a head without query",
        ),
        pytest.param(
            lambda: edited(blocks__0__attn__proj__weight=torch.Tensor.zero_), id="no branch"
        ),
    ],
)
def test_degenerate_weights(module: Any, recipe: str) -> None:
    assert quality(module(), recipe) > (25 if recipe == "default" else 13)


def test_constant_images_are_calibrated_and_run() -> None:
    graph = calibrated(captured(vit()), "fq-vit")
    program = lower(graph)
    for value in (0, 255):
        batch = np.full((1, 32, 32, 3), value, np.uint8)
        assert np.isfinite(run(program, batch)).all()


@pytest.mark.parametrize("recipe", ["default", "fq-vit", "fq-vit-888"])
def test_exact_requantization_runs_and_agrees_as_well(recipe: str) -> None:
    module = model("vit")
    exact = lower(calibrated("vit", changed(recipe, requantization="exact")))
    kinds = {
        operation.attributes["intermediate_bits"]
        for operation in exact.operations
        if operation.kind == "requantize"
    }
    assert kinds == {32}
    batch = images(6)
    logits = run(exact, batch) * exact.logit_scale
    _, fast = lowered("vit", recipe)
    other = run(fast, batch) * fast.logit_scale
    assert decibels(float_logits(module, batch), logits) > 18
    # Both are the same model, but for single codes.
    assert decibels(logits, other) > 22


@pytest.mark.parametrize(
    ("attention", "kinds"),
    [
        (Log2Config(), {"log2_softmax", "shift_matmul"}),
        (RowRelativeConfig(), {"exponentials", "weighted_average"}),
        (SoftmaxConfig(), {"softmax"}),
    ],
)
def test_attention_maps_choose_their_operations(attention: Any, kinds: set[str]) -> None:
    program = lower(calibrated("vit", with_roles("default", attention_map=attention)))
    every = {"log2_softmax", "shift_matmul", "exponentials", "weighted_average", "softmax"}
    assert {operation.kind for operation in program.operations} & every == kinds


@pytest.mark.parametrize("bits", [4, 5, 6, 7, 8])
def test_weights_of_few_bits(bits: int) -> None:
    weights = UniformConfig(num_bits=bits, symmetric=True, strategy="channel", observer="mse")
    program = lower(calibrated("vit", changed("default", weights=weights)))
    largest = 2 ** (bits - 1)
    for name, constant in program.constants.items():
        if name.endswith(".weight"):
            assert -largest <= constant.min() and constant.max() < largest


@pytest.mark.parametrize("bits", [4, 6])
def test_activations_of_few_bits_keep_to_their_codes(bits: int) -> None:
    grid = UniformConfig(num_bits=bits)
    recipe = with_roles("default", normalized=grid, activation=grid, attention_output=grid)
    graph = calibrated("vit", recipe)
    program = lower(graph)
    for node, role in graph.roles.items():
        if role in ("normalized", "activation", "attention_output"):
            tensor = program.types[node.name]
            assert tensor.high - tensor.low < 2**bits


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        (
            {
                "normalized": UniformConfig(num_bits=16),
                "query_key_value": UniformConfig(num_bits=16),
            },
            r"blocks\.0\.attn \(blocks_0_attn_matmul\): .*overflows a 32-bit accumulator",
        ),
        ({"attention_output": None}, r"blocks\.0\.attn\.proj \(blocks_0_attn_proj\): "),
        (
            {"query_key_value": UniformConfig(num_bits=16)},
            r"\(blocks_0_attn_matmul\w*\): ",
        ),
        ({"logits": None}, r"the logits 'head' have a scale a class"),
        ({"activation_input": None}, r"blocks\.0\.mlp\.act \(blocks_0_mlp_act\): .*codes"),
        ({"activation": None}, r"blocks\.0\.mlp\.act .*'default' gives it no uniform grid"),
        (
            {"residual": None, "residual_branch": None},
            r"\(blocks_0_norm1\): the channel scales of 'add' are not powers of two",
        ),
        (
            {"attention_map": UniformConfig(strategy="power_of_two_factor")},
            r"\(blocks_0_attn_softmax\): an attention map needs a grid of one scale",
        ),
        (
            {"normalized": UniformConfig(strategy="power_of_two_factor")},
            r"\(blocks_0_attn_qkv\): 'blocks_0_norm1', which it reads, has several scales",
        ),
    ],
)
def test_what_cannot_be_lowered_is_refused_by_name(roles: dict, message: str) -> None:
    graph = calibrated("vit", with_roles("default", **roles))
    with pytest.raises(FullintError, match=message):
        lower(graph)


def test_layer_norm_refuses_channel_scales_that_are_not_powers_of_two() -> None:
    graph = calibrated("vit", "fq-vit")
    node = next(node for node in graph.grids if node.name == "add")
    grid = graph.uniform_grid_of(node)
    scale = grid.scale * torch.linspace(1, 1.5, len(grid.scale))
    graph.grids[node] = UniformGrid(scale, grid.zero_point, grid.low, grid.high)
    with pytest.raises(FullintError, match=r"norm1 .*'add' are not powers of two of each other"):
        lower(graph)


def test_attention_codes_are_not_taken_for_numbers() -> None:
    class Mixing(nn.Module):
        """A linear layer on the attention map."""

        def __init__(self) -> None:
            super().__init__()
            self.patches, self.mix = nn.Conv2d(3, 8, 8, 8), nn.Linear(16, 16)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            tokens = self.patches(image).flatten(2).transpose(1, 2)
            attention = (tokens @ tokens.transpose(1, 2)).softmax(-1)
            return (self.mix(attention) @ tokens).mean(1)

    graph = calibrated(captured(Mixing()), with_roles("default", query_key_value=UniformConfig()))
    with pytest.raises(FullintError, match=r"mix \(mix\): it reads the row_relative codes"):
        lower(graph)
