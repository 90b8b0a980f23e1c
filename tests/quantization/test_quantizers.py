"""Quantizers against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from fullint.errors import FullintError
from fullint.quantization.granularity import TENSOR, Groups
from fullint.quantization.grids import Grid, Log2Grid, RowRelativeGrid, UniformGrid
from fullint.quantization.quantizers import make_quantizer
from fullint.recipes.schema import (
    Log2Config,
    RowRelativeConfig,
    SharedConfig,
    SoftmaxConfig,
    UniformConfig,
)


def frozen(config: UniformConfig, batches: list[Tensor], groups: Groups = TENSOR) -> Grid:
    quantizer = make_quantizer(config, role="residual", groups=groups)
    for pass_index in range(quantizer.passes):
        for batch in batches:
            quantizer.observe(batch, pass_index)
    return quantizer.freeze()


def streams(count: int = 3, channels: int = 16) -> list[Tensor]:
    """Residual streams (batch, tokens, channels) whose channels differ in range by up to 50."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.logspace(-1, 0.7, channels)
    return [torch.randn(2, 40, channels, generator=generator) * spread + 0.1 for _ in range(count)]


@pytest.mark.parametrize("symmetric", [True, False])
def test_power_of_two_factors_are_the_best_of_four_in_every_channel(symmetric: bool) -> None:
    config = UniformConfig(strategy="power_of_two_factor", symmetric=symmetric)
    batches = streams()
    grid = frozen(config, batches)
    assert isinstance(grid, UniformGrid)
    values = torch.cat(batches).reshape(-1, 16).double().numpy()
    low, high = min(values.min(), 0), max(values.max(), 0)
    if symmetric:
        widest, zero = max(high / 127, -low / 128), 0
        first, last = -128, 127
    else:
        widest = (high - low) / 255
        zero, first, last = round(-low / widest), 0, 255
    base = widest / 8
    np.testing.assert_allclose(grid.scale.max().item(), widest, rtol=1e-6)
    for channel in range(16):
        errors = []
        for factor in (1, 2, 4, 8):
            codes = np.clip(np.rint(values[:, channel] / (base * factor)) + zero, first, last)
            errors.append((((codes - zero) * base * factor - values[:, channel]) ** 2).sum())
        chosen = grid.scale[channel].item() / base
        assert chosen == pytest.approx((1, 2, 4, 8)[int(np.argmin(errors))], rel=1e-6)
    assert {1.0, 8.0} <= {round(factor, 3) for factor in (grid.scale / base).tolist()}


def test_power_of_two_factors_of_constant_channels() -> None:
    batches = [torch.cat([batch, torch.zeros(2, 40, 1)], dim=-1) for batch in streams()]
    grid = frozen(UniformConfig(strategy="power_of_two_factor"), batches)
    assert isinstance(grid, UniformGrid)
    assert bool((grid.fake_quantize(batches[0])[..., -1] == 0).all())


def test_power_of_two_factors_of_a_tensor_of_zeros() -> None:
    grid = frozen(UniformConfig(strategy="power_of_two_factor"), [torch.zeros(2, 3, 4)])
    assert isinstance(grid, UniformGrid)
    assert bool((grid.fake_quantize(torch.zeros(2, 3, 4)) == 0).all())


def test_headroom_widens_the_range() -> None:
    values = [torch.tensor([[-1.0, 3.0]])]
    grid = frozen(UniformConfig(headroom=2.0), values)
    assert isinstance(grid, UniformGrid)
    assert float(grid.scale) == pytest.approx(8 / 255)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("largest", [0.9, 1.0, 127 / 128, 5.3])
def test_power_of_two_scales_cover_the_range(symmetric: bool, largest: float) -> None:
    values = torch.tensor([[-0.8, 0.1, largest]])
    config = UniformConfig(symmetric=symmetric, power_of_two_scale=True)
    grid = frozen(config, [values])
    assert isinstance(grid, UniformGrid)
    exponent = np.log2(float(grid.scale))
    assert exponent == round(exponent)
    assert (grid.fake_quantize(values) - values).abs().max() <= float(grid.scale) / 2 + 1e-9
    exact = frozen(UniformConfig(symmetric=symmetric), [values])
    assert isinstance(exact, UniformGrid)
    assert float(exact.scale) <= float(grid.scale) < 2 * float(exact.scale)


def test_groups_share_a_scale_and_nothing_else_does() -> None:
    groups = Groups(torch.tensor([0, 1, 1, 0]))
    alone = Groups(torch.tensor([2, 0, 3, 1]))
    values = torch.tensor([[[1.0, 10.0, -20.0, 2.0]]])
    grid = frozen(UniformConfig(symmetric=True, strategy="head"), [values], groups)
    assert isinstance(grid, UniformGrid)
    expected = [2 / 127, 20 / 128, 20 / 128, 2 / 127]
    assert grid.scale.tolist() == pytest.approx(expected)
    grid = frozen(UniformConfig(symmetric=True, strategy="head"), [values], alone)
    assert isinstance(grid, UniformGrid)
    assert grid.scale.tolist() == pytest.approx([1 / 127, 10 / 127, 20 / 128, 2 / 127])


def test_attention_grids_need_no_data() -> None:
    for config, kind in (
        (Log2Config(rounding=425), Log2Grid(425)),
        (RowRelativeConfig(), RowRelativeGrid()),
    ):
        quantizer = make_quantizer(config, role="attention_map")
        assert quantizer.passes == 0
        assert quantizer.freeze() == kind
    uniform = make_quantizer(SoftmaxConfig(), role="attention_map").freeze()
    assert isinstance(uniform, UniformGrid)
    assert (float(uniform.scale), uniform.zero_point) == (pytest.approx(1 / 255), 0)


def test_a_shared_grid_is_not_a_quantizer() -> None:
    with pytest.raises(FullintError, match="'residual' cannot have a grid of type 'shared'"):
        make_quantizer(SharedConfig(), role="residual")
