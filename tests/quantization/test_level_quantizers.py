"""Quantizers of level grids against brute force over the data themselves."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fullint.errors import FullintError
from fullint.quantization.grids import (
    LevelGrid,
    adalog_activation_grid,
    adalog_grid,
    log_sqrt2_grid,
    shift_uniform_log2_grid,
    tangent_grid,
    twin_activation_grid,
    twin_grid,
)
from fullint.quantization.quantizers import make_quantizer
from fullint.quantization.quantizers.shift_uniform_log2 import SHIFTS
from fullint.quantization.quantizers.tangent import ANGLES, CENTERS
from fullint.recipes.schema import (
    AdaLogConfig,
    LogSqrt2Config,
    QuantizerConfig,
    Role,
    ShiftUniformLog2Config,
    TangentConfig,
    TwinConfig,
    UniformConfig,
)


def attention_maps() -> list[Tensor]:
    """Three batches of two images and four heads, from flat to sharp."""
    generator = torch.Generator().manual_seed(0)
    sharpness = torch.tensor([0.3, 1.0, 3.0, 8.0]).reshape(4, 1, 1)
    return [
        torch.softmax(torch.randn(2, 4, 30, 50, generator=generator) * sharpness, dim=-1)
        for _ in range(3)
    ]


def activations() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [functional.gelu(torch.randn(2, 30, 64, generator=generator) * 1.5) for _ in range(3)]


def frozen(config: QuantizerConfig, role: Role, batches: list[Tensor]) -> LevelGrid:
    quantizer = make_quantizer(config, role=role)
    for pass_index in range(quantizer.passes):
        for batch in batches:
            quantizer.observe(batch, pass_index)
    grid = quantizer.freeze()
    assert isinstance(grid, LevelGrid)
    return grid


def squared_error(grid: LevelGrid, values: Tensor) -> float:
    return float((grid.fake_quantize(values) - values).square().sum())


def least(grids: Sequence[LevelGrid], values: Tensor) -> float:
    return min(squared_error(grid, values) for grid in grids)


@pytest.mark.parametrize("bits", [4, 6])
def test_attention_maps_take_the_best_parameters(bits: int) -> None:
    batches = attention_maps()
    values = torch.cat(batches).double()
    quantiles = values.flatten().quantile(torch.tensor([0.999, 0.9999, 0.99999]).double())
    candidates: dict[QuantizerConfig, list[LevelGrid]] = {
        LogSqrt2Config(num_bits=bits): [log_sqrt2_grid(bits, float(q)) for q in quantiles],
        AdaLogConfig(num_bits=bits): [adalog_grid(bits, [q]) for q in range(2, 138)],
        TwinConfig(num_bits=bits): [twin_grid(bits, m) for m in range(8)],
        ShiftUniformLog2Config(num_bits=bits): [
            shift_uniform_log2_grid(bits, shift, float(values.max())) for shift in SHIFTS
        ],
        TangentConfig(num_bits=bits): [
            tangent_grid(bits, center, angle) for center in CENTERS for angle in ANGLES
        ],
    }
    for config, grids in candidates.items():
        got = squared_error(frozen(config, "attention_map", batches), values)
        assert got <= 1.01 * least(grids, values), config
        assert max(squared_error(grid, values) for grid in grids) > 1.003 * got, config


def test_a_base_for_every_head() -> None:
    batches = attention_maps()
    values = torch.cat(batches).double()
    grid = frozen(AdaLogConfig(strategy="head"), "attention_map", batches)
    assert grid.levels.shape == (4, 16)
    rounded = grid.fake_quantize(values)
    for head in range(4):
        alone = values[:, head]
        error = float((rounded[:, head] - alone).square().sum())
        assert error <= 1.02 * least([adalog_grid(4, [q]) for q in range(2, 138)], alone)
    one = frozen(AdaLogConfig(), "attention_map", batches)
    assert squared_error(grid, values) < squared_error(one, values)


@pytest.mark.parametrize("bits", [3, 4, 6])
def test_activations_take_the_best_parameters(bits: int) -> None:
    batches = activations()
    values = torch.cat(batches).double()
    low, high = float(values.min()), float(values.max())
    half = 2 ** (bits - 1)
    twins = [
        twin_activation_grid(bits, m, positive_scale=high / (half - 1) * (1 - step / 32))
        for m in range(9)
        for step in range(32)
    ]
    got = squared_error(frozen(TwinConfig(num_bits=bits), "activation", batches), values)
    assert got <= 1.02 * least(twins, values)
    logs = [
        adalog_activation_grid(bits, q, largest=(high - low) * (1 - step / 16), shift=-low)
        for q in range(2, 138, 3)
        for step in range(0, 16, 2)
    ]
    got = squared_error(frozen(AdaLogConfig(num_bits=bits), "activation", batches), values)
    # Not all pairs are tried.
    assert got <= 1.1 * least(logs, values)


@pytest.mark.parametrize("config", [AdaLogConfig(), TwinConfig()])
def test_an_activation_that_is_all_zero(config: QuantizerConfig) -> None:
    grid = frozen(config, "activation", [torch.zeros(2, 3, 4)])
    assert bool((grid.fake_quantize(torch.zeros(5)) == 0).all())
    # The steps of the biases behind it.
    assert float(grid.scale) > 2.0**-30


def test_memory_does_not_grow() -> None:
    quantizer = make_quantizer(TwinConfig(), role="attention_map")
    sizes = set()
    for batch in attention_maps():
        quantizer.observe(batch, 0)
        histogram = quantizer.histogram  # type: ignore[attr-defined]
        sizes.add(histogram.counts.numel() + histogram.sums.numel())
    assert len(sizes) == 1


@pytest.mark.parametrize(
    ("config", "role"),
    [
        (LogSqrt2Config(), "activation"),
        (TangentConfig(), "normalized"),
        (ShiftUniformLog2Config(), "residual"),
        (AdaLogConfig(), "pooled"),
        (TwinConfig(), "query_key_value"),
    ],
)
def test_grids_of_other_roles_are_refused(config: QuantizerConfig, role: Role) -> None:
    with pytest.raises(FullintError, match=f"'{role}' cannot have a grid of type '{config.type}'"):
        make_quantizer(config, role=role)


def test_uniform_attention_maps_are_uniform() -> None:
    quantizer = make_quantizer(UniformConfig(num_bits=6), role="attention_map")
    for batch in attention_maps():
        quantizer.observe(batch, 0)
    values = torch.cat(attention_maps())
    grid = quantizer.freeze()
    assert float((grid.fake_quantize(values) - values).abs().max()) <= float(values.max()) / 126
