"""What each transform does to the tensors it changes."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, fx

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import GraphRunner, QuantizedGraph
from fullint.quantization.grids import UniformGrid
from fullint.quantization.steps import run_step
from fullint.quantization.transforms.channel_ranges import (
    dual_clipping_ranges,
    squared_error,
)
from fullint.quantization.transforms.channel_spaces import find_channel_spaces
from fullint.quantization.transforms.head_rotation import random_rotations
from fullint.quantization.transforms.stream_rotation import rotation_around_ones
from fullint.recipes.declaration import Declaration
from fullint.recipes.schema import Recipe, UniformConfig
from fullint.recipes.steps import (
    ChannelPermutationConfig,
    HeadRotationConfig,
    KeyValueCenteringConfig,
    LayerNormEqualizationConfig,
    LayerNormFoldingConfig,
    NoisyBiasConfig,
    QueryKeyValueEqualizationConfig,
    ScaleReparameterizationConfig,
    SmoothQuantConfig,
    StreamRotationConfig,
)

from ..small_models import normal_form_of, pixels, with_roles

NORM, QKV = "blocks_0_norm1", "blocks_0_attn_qkv"


def four_bits(*, symmetric: bool = False) -> Recipe:
    return with_roles("fq-vit", normalized=UniformConfig(num_bits=4, symmetric=symmetric))


def transformed(
    config: Declaration, module: fx.GraphModule | None = None, recipe: Recipe | None = None
) -> QuantizedGraph:
    """The small ViT, or another model, behind one transform, not yet calibrated."""
    graph = QuantizedGraph(module or deepcopy(normal_form_of("vit")), recipe or four_bits())
    run_step(graph, config, CALIBRATION)
    return graph


CALIBRATION = CalibrationData(lambda: pixels(12).split(4), 12)


def values(module: fx.GraphModule, name: str) -> Tensor:
    """Rows of one node's value on the calibration images, (rows, channels)."""
    found: list[Tensor] = []

    def hook(node: fx.Node, value: Tensor) -> Tensor:
        if node.name == name:
            found.append(value.reshape(-1, value.shape[-1]))
        return value

    for batch in CALIBRATION.batches():
        with torch.no_grad():
            GraphRunner(module, hook).run(batch)
    return torch.cat(found)


def node_of(graph: QuantizedGraph, name: str) -> fx.Node:
    return next(node for node in graph.module.graph.nodes if node.name == name)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("target", ["mean", "median"])
def test_reparameterized_codes_are_those_of_every_channel(target: str, symmetric: bool) -> None:
    """RepQ-ViT's claim: one grid does after it what a grid a channel does before."""
    before = deepcopy(normal_form_of("vit"))
    graph = transformed(
        ScaleReparameterizationConfig(target=target), recipe=four_bits(symmetric=symmetric)
    )
    grid = graph.fixed_grids[node_of(graph, NORM)]
    assert isinstance(grid, UniformGrid)
    assert grid.zero_point == int(grid.zero_point)
    assert grid.low <= grid.zero_point <= grid.high
    assert grid.high - grid.low == 15

    rows = values(before, NORM).double().numpy()
    step, low = best_percentiles(rows)
    by_channel = np.clip(np.round((rows - low) / step), 0, 15) * step + low
    expected = by_channel @ getattr(before, QKV + "_weight").double().numpy().T
    expected += getattr(before, QKV + "_bias").double().numpy()
    common = grid.fake_quantize(values(graph.module, NORM)).double().numpy()
    found = common @ getattr(graph.module, QKV + "_weight").double().numpy().T
    found += getattr(graph.module, QKV + "_bias").double().numpy()
    # Codes on the edge between two may fall to either side.
    assert np.median(np.abs(found - expected)) < 1e-5
    assert np.mean(np.abs(found - expected) > 1e-4) < 0.02
    wanted = np.mean(step) if target == "mean" else np.sort(step)[(len(step) - 1) // 2]
    assert float(grid.scale) == pytest.approx(wanted, rel=1e-4)


def best_percentiles(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """RepQ-ViT's choice of range for every channel, one at a time."""
    steps, lows = [], []
    for channel in rows.T:
        candidates = []
        for percentile in (0.999, 0.9999, 0.99999):
            low, high = np.quantile(channel, [1 - percentile, percentile])
            step = (high - low) / 15
            error = np.clip(np.round((channel - low) / step), 0, 15) * step + low - channel
            candidates.append((np.mean(error**2), step, low))
        _, step, low = min(candidates)
        steps.append(step)
        lows.append(low)
    return np.array(steps), np.array(lows)


@pytest.mark.parametrize("groups", [1, 4])
def test_channels_of_a_group_are_scaled_and_shifted_alike(groups: int) -> None:
    """What was divided, LayerNorm's gain and offset against those before: a pair a group."""
    before = normal_form_of("vit")
    graph = transformed(ScaleReparameterizationConfig(groups=groups))
    gain, offset = (
        [getattr(module, f"blocks_0_norm1_{name}").double() for module in (before, graph.module)]
        for name in ("weight", "bias")
    )
    factors = gain[0] / gain[1]
    folded = torch.stack([factors, offset[0] - offset[1] * factors], dim=1)
    assert len(folded.mul(1e4).round().unique(dim=0)) == groups
    if groups == 1:  # one range, the mean of all channels', for a tensor that is not scaled
        step, _ = best_percentiles(values(before, NORM).double().numpy())
        assert torch.allclose(factors, torch.ones(32).double(), rtol=1e-5)
        grid = graph.fixed_grids[node_of(graph, NORM)]
        assert isinstance(grid, UniformGrid)
        assert float(grid.scale) == pytest.approx(float(np.mean(step)), rel=1e-4)


def test_a_group_a_channel_is_what_no_groups_are() -> None:
    alone = transformed(ScaleReparameterizationConfig()).module
    grouped = transformed(ScaleReparameterizationConfig(groups=32)).module
    assert torch.equal(grouped.blocks_0_attn_qkv_weight, alone.blocks_0_attn_qkv_weight)


def test_calibration_keeps_the_fixed_grid() -> None:
    graph = transformed(ScaleReparameterizationConfig(dual_clipping=True))
    graph.calibrate(CALIBRATION)
    node = node_of(graph, NORM)
    assert graph.grids[node] is graph.fixed_grids[node]


def test_a_fixed_grid_does_not_survive_another_change() -> None:
    graph = transformed(ScaleReparameterizationConfig())
    run_step(graph, SmoothQuantConfig(), CALIBRATION)
    assert not graph.fixed_grids


def test_migration_leaves_the_grid_to_calibration() -> None:
    graph = transformed(ScaleReparameterizationConfig(migration=0.3))
    assert not graph.fixed_grids


def test_full_migration_evens_out_the_columns() -> None:
    graph = transformed(ScaleReparameterizationConfig(migration=1.0))
    columns = getattr(graph.module, QKV + "_weight").abs().amax(0)
    assert torch.allclose(columns, columns[:1].expand_as(columns), rtol=1e-4)


def test_reparameterization_needs_uniform_codes() -> None:
    recipe = with_roles("fq-vit", normalized=UniformConfig(strategy="power_of_two_factor"))
    with pytest.raises(FullintError, match="scale_reparameterization needs uniform codes"):
        transformed(ScaleReparameterizationConfig(), recipe=recipe)


def test_dual_clipping_finds_the_best_ends() -> None:
    """Against every pair of ends in steps of a fiftieth; one far value above, or below."""
    rows = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0))
    rows[0, 0], rows[0, 1] = 3.0, -2.0
    low, high = dual_clipping_ranges(rows, 4)
    found = squared_error(rows, 4, low, high)
    ends = torch.linspace(-2, 3, 251, dtype=torch.float64)
    lows, highs = torch.cartesian_prod(ends[:126], ends[126:]).T
    for channel in range(2):
        column = rows[:, channel : channel + 1].expand(-1, len(lows))
        best = squared_error(column, 4, lows, highs).min()
        assert found[channel] <= 1.02 * best
        extremes = rows[:, channel].min().double(), rows[:, channel].max().double()
        assert found[channel] < 0.8 * squared_error(rows[:, channel, None], 4, *extremes)


def test_squared_error_by_hand() -> None:
    """Codes 0, 1, 2, 3 from 10 to 13: 9 saturates, 11.25 and 13 round."""
    rows = torch.tensor([[9.0], [11.25], [13.0]])
    low, high = torch.tensor([10.0]).double(), torch.tensor([13.0]).double()
    assert squared_error(rows, 2, low, high) == pytest.approx((1 + 0.0625) / 3)


@pytest.mark.parametrize("centered", [False, True])
def test_smooth_quant_halves_the_difficulty(centered: bool) -> None:
    """At balance 0.5 activations and weights of every channel are of one size, up to one factor
    for the tensor.
    """
    graph = transformed(SmoothQuantConfig(centered=centered))
    rows = values(graph.module, NORM)
    columns = getattr(graph.module, QKV + "_weight").abs().amax(0)
    ratio = rows.abs().amax(0) / columns
    assert torch.allclose(ratio, ratio.mean().expand_as(ratio), rtol=1e-3)


@pytest.mark.parametrize(
    "config", [LayerNormEqualizationConfig(), SmoothQuantConfig(centered=True)]
)
def test_ranges_are_centred(config: Declaration) -> None:
    rows = values(transformed(config).module, NORM)
    assert torch.allclose(rows.amin(0), -rows.amax(0), atol=1e-3 * float(rows.abs().max()))


def test_folded_layer_norms_only_normalise() -> None:
    rows = values(transformed(LayerNormFoldingConfig()).module, NORM)
    assert rows.mean(1).abs().max() < 1e-5
    assert torch.allclose(rows.square().mean(1), torch.ones(len(rows)), atol=1e-3)


def test_keys_and_values_have_mean_zero() -> None:
    rows = values(transformed(KeyValueCenteringConfig()).module, QKV)
    queries, others = rows[:, :32], rows[:, 32:]
    assert queries.mean(0).abs().max() > 0.01
    assert others.mean(0).abs().max() < 1e-5


def test_attention_balance_undoes_any_other() -> None:
    """Multiplying some query and value channels, and dividing what meets them, changes nothing."""
    plain, skewed = (deepcopy(normal_form_of("vit")) for _ in range(2))
    weight, bias, output = (
        getattr(skewed, f"blocks_0_attn_{name}")
        for name in ("qkv_weight", "qkv_bias", "proj_weight")
    )
    query, key, value = (slice(start, start + 32, 16) for start in (0, 32, 64))
    for rows, factor in ((query, 8), (key, 1 / 8), (value, 8)):
        weight[rows] *= factor
        bias[rows] *= factor
    output[:, :32:16] /= 8
    config = QueryKeyValueEqualizationConfig()
    found = [values(transformed(config, module).module, QKV) for module in (plain, skewed)]
    for first in range(0, 96, 16):
        of_plain, of_skewed = (rows[:, first : first + 16] for rows in found)
        ratio = of_skewed.abs().amax(0) / of_plain.abs().amax(0)
        assert torch.allclose(ratio, ratio.mean().expand_as(ratio), rtol=1e-3)


def test_permutation_sorts_hidden_layers_and_the_stream() -> None:
    module = transformed(ChannelPermutationConfig()).module
    spaces = find_channel_spaces(module.graph)
    assert sorted(space.channels for space in spaces) == [32, 128, 128]
    assert max(len(space.readers) for space in spaces) == 5  # 2 qkv, 2 fc1, head
    up, down = (getattr(module, f"blocks_0_mlp_fc{layer}_weight").abs() for layer in (1, 2))
    assert (torch.diff(up.amax(1) * down.amax(0)) >= -1e-6).all()


def test_streams_of_swin_keep_their_order() -> None:
    """Patch merging puts four positions into the channels; only hidden layers and the last stage's
    stream are free.
    """
    spaces = find_channel_spaces(normal_form_of("swin").graph)
    assert sorted(space.channels for space in spaces) == [32, 64, 64, 128, 128]
    assert all(node.target is normal_form.linear for space in spaces for node in space.writers)


def test_noise_lowers_the_error_of_the_output() -> None:
    before = QuantizedGraph(deepcopy(normal_form_of("vit")), four_bits())
    before.calibrate(CALIBRATION)
    after = transformed(NoisyBiasConfig())
    after.calibrate(CALIBRATION)
    errors = []
    for graph in (before, after):
        rows = values(graph.module, NORM)
        rounding = graph.uniform_grid_of(node_of(graph, NORM)).fake_quantize(rows) - rows
        output_error = rounding @ getattr(graph.module, QKV + "_weight").T
        errors.append(float(output_error.square().sum()))
    assert errors[1] < errors[0]
    assert float(after.uniform_grid_of(node_of(after, NORM)).scale) == pytest.approx(
        float(before.uniform_grid_of(node_of(before, NORM)).scale)
    )


def test_rotations_around_ones_commute_with_layer_norm() -> None:
    rotation = rotation_around_ones(24, torch.Generator().manual_seed(3))
    assert torch.allclose(rotation @ rotation.T, torch.eye(24).double())
    assert torch.allclose(rotation.sum(1), torch.ones(24).double())
    rows = torch.randn(5, 24).double() * torch.linspace(0.1, 9, 24).double() + 2
    normalized = torch.nn.functional.layer_norm(rows, (24,))
    turned = torch.nn.functional.layer_norm(rows @ rotation.T, (24,))
    assert torch.allclose(turned, normalized @ rotation.T)


def test_rotations_are_orthogonal() -> None:
    rotations = random_rotations(3, 8, torch.Generator().manual_seed(3))
    assert torch.allclose(rotations @ rotations.mT, torch.eye(8).double().expand(3, 8, 8))


@pytest.mark.parametrize(
    ("config", "name"), [(StreamRotationConfig(), NORM), (HeadRotationConfig(), QKV)]
)
def test_rotation_spreads_a_channel_that_stands_out(config: Declaration, name: str) -> None:
    module = deepcopy(normal_form_of("vit"))
    for constant in ("pos_embed", "blocks_0_attn_qkv_bias"):
        getattr(module, constant)[..., 3] += 30
    before = values(module, name)
    after = values(transformed(config, module).module, name)
    peaks = [float(rows.abs().amax() / rows.square().mean().sqrt()) for rows in (before, after)]
    assert peaks[1] < 0.8 * peaks[0]


def test_streams_through_patch_merging_stay() -> None:
    before = normal_form_of("swin")
    after = transformed(StreamRotationConfig(), deepcopy(before)).module
    name = "layers_0_blocks_0_attn_qkv_weight"
    assert torch.equal(getattr(after, name), getattr(before, name))
