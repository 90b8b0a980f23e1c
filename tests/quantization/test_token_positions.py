"""Scales of token positions, in quantizers and in a graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import fx

from fullint.errors import FullintError
from fullint.lowering import lower
from fullint.quantization.granularity import TokenPositions
from fullint.quantization.graph import GraphRunner, QuantizedGraph
from fullint.quantization.grids import UniformGrid
from fullint.quantization.quantizers import make_quantizer
from fullint.recipes import find_recipe
from fullint.recipes.schema import LINEAR_INPUTS, Recipe, UniformConfig

from ..small_models import calibrated, pixels


def by_token(symmetric: bool = False) -> UniformConfig:
    return UniformConfig(num_bits=2, strategy="token", symmetric=symmetric)


def frozen(config: UniformConfig, positions: tuple[int, ...], values: torch.Tensor) -> UniformGrid:
    quantizer = make_quantizer(config, role="normalized", groups=TokenPositions(positions))
    for pass_index in range(quantizer.passes):
        for batch in values.split(1):
            quantizer.observe(batch, pass_index)
    grid = quantizer.freeze()
    assert isinstance(grid, UniformGrid)
    return grid


TOKENS = torch.tensor(
    [[[0.0, 3.0], [-2.0, 1.0], [0.1, 0.0]], [[1.2, 0.4], [4.0, -1.0], [0.3, 0.2]]]
)


def test_every_token_has_its_scale_and_zero_point() -> None:
    """Two images of three tokens, two bits: 0 to 3, -2 to 4 and 0 to 0.3 are three steps each."""
    grid = frozen(by_token(), (3,), TOKENS)
    assert grid.scale.tolist() == [[1.0], [2.0], [pytest.approx(0.1)]]
    assert isinstance(grid.zero_point, torch.Tensor)
    assert grid.zero_point.tolist() == [[0], [1], [0]]
    expected = [[[0, 3], [-2, 0], [0.1, 0]], [[1, 0], [4, 0], [0.3, 0.2]]]
    # -1 and 1 lie halfway between codes; half to even gives zero for both.
    assert torch.allclose(grid.fake_quantize(TOKENS), torch.tensor(expected))


def test_symmetric_grids_reach_the_farther_end() -> None:
    grid = frozen(by_token(symmetric=True), (3,), TOKENS)
    assert grid.zero_point == 0
    assert grid.scale.flatten().tolist() == pytest.approx([3, 4, 0.3])


def test_positions_of_two_axes_and_heads_that_share_one() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 3, 4, 5, generator=generator)
    plane = frozen(by_token(symmetric=True), (3, 4), values)
    heads = frozen(by_token(symmetric=True), (4,), values)
    found = np.maximum(values.numpy(), -values.numpy() / 2).max((0, 3))
    np.testing.assert_allclose(plane.scale[..., 0], found, rtol=1e-6)
    np.testing.assert_allclose(heads.scale[..., 0], found.max(0), rtol=1e-6)


def simulated(strategy: str) -> QuantizedGraph:
    """The small ViT with four bits in front of every linear layer."""
    grid = UniformConfig(num_bits=4, strategy=strategy)
    return calibrated("vit", changed_to(grid))


def changed_to(grid: UniformConfig) -> Recipe:
    fields = find_recipe("default").model_dump() | {"simulation_only": "scales a token"}
    fields["activations"] |= dict.fromkeys(LINEAR_INPUTS, grid.model_dump())
    return Recipe.model_validate(fields)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit", {"blocks_0_norm1": (17, 1), "blocks_0_attn_matmul_1": (17, 1)}),
        ("swin", {"layers_0_blocks_0_norm1": (8, 8, 1)}),
    ],
)
def test_a_graph_has_a_scale_for_every_position(name: str, expected: dict) -> None:
    graph = calibrated(name, changed_to(UniformConfig(strategy="token")))
    scales = {
        node.name: tuple(graph.uniform_grid_of(node).scale.shape)
        for node, role in graph.roles.items()
        if role in LINEAR_INPUTS
    }
    assert scales.items() >= expected.items()
    assert all(shape[-1] == 1 and len(shape) > 1 for shape in scales.values())
    with pytest.raises(FullintError, match="has no integer program: scales a token"):
        lower(graph)


def test_no_token_is_rounded_more_coarsely_than_by_the_tensor_s_scale() -> None:
    """On the calibration images, where both grids reach all values: half a step at most each."""
    by_tensor, by_position = simulated("tensor"), simulated("token")
    coarse = {node.name: grid for node, grid in by_tensor.grids.items()}
    seen = []

    def hook(node: fx.Node, value: torch.Tensor) -> torch.Tensor:
        if by_position.roles.get(node) in LINEAR_INPUTS:
            grid = by_position.uniform_grid_of(node)
            assert (grid.scale <= coarse[node.name].scale * (1 + 1e-6)).all()
            error = (grid.fake_quantize(value) - value).abs()
            assert (error <= 0.5 * grid.scale + 1e-5 * value.abs().max()).all()
            seen.append(node.name)
        return value

    for batch in pixels(12).split(4):
        with torch.no_grad():
            GraphRunner(by_position.module, hook).run(batch)
    assert len(seen) == 3 * 9
