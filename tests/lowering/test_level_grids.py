"""Attention maps and activations on grids of levels: program against simulation, operation by
operation.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import fx

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.ops.table_softmax import row_sum_bound
from fullint.integer.program import IntegerProgram
from fullint.lowering import lower
from fullint.lowering.emitters.softmax import TABLE_ENTRIES, logarithm_table
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.grids import (
    LevelGrid,
    UniformGrid,
    adalog_grid,
    twin_grid,
    uniform_grid,
)
from fullint.recipes.schema import (
    AdaLogConfig,
    LogSqrt2Config,
    QuantizerConfig,
    ShiftUniformLog2Config,
    TangentConfig,
    TwinConfig,
    UniformConfig,
)

from ..small_models import calibrated, images, size_of, traced, with_roles
from .test_emitters import exact_result, shaped

ATTENTION_MAPS: list[QuantizerConfig] = [
    LogSqrt2Config(),
    AdaLogConfig(),
    AdaLogConfig(num_bits=3, strategy="head"),
    AdaLogConfig(num_bits=8, strategy="head"),
    TwinConfig(num_bits=4),
    TwinConfig(),
    ShiftUniformLog2Config(),
    TangentConfig(num_bits=6),
    UniformConfig(num_bits=4),
    UniformConfig(num_bits=6, symmetric=True),
]


def made(
    name: str, **roles: QuantizerConfig
) -> tuple[QuantizedGraph, IntegerProgram, dict[str, np.ndarray]]:
    """A model with other grids, its program, and all tensors of that for two images."""
    graph = calibrated(name, with_roles("fq-vit-888", **roles))
    program = lower(graph)
    batch = images(2, size_of(name), seed=5)
    return graph, program, {"pixels": batch, **traced(program, batch)}


def nodes_of(graph: QuantizedGraph, target: object) -> list[fx.Node]:
    return [node for node in graph.module.graph.nodes if node.target is target]


@pytest.mark.parametrize("name", ["vit", "padded swin"])
@pytest.mark.parametrize("config", ATTENTION_MAPS, ids=lambda config: config.type)
def test_attention_levels_are_those_of_the_exact_softmax(
    name: str, config: QuantizerConfig
) -> None:
    graph, program, codes = made(name, attention_map=config)
    for node in nodes_of(graph, normal_form.softmax):
        grid = graph.grids[node]
        assert isinstance(grid, LevelGrid | UniformGrid)
        exact = exact_result(graph, codes, node)
        got = torch.from_numpy(shaped(codes[node.name], node)).double()
        # What the operation says of its logarithms, and the middle of an entry for all of it; below
        # the table everything is zero.
        octaves = 4 / 1024 + math.log2(1.0024 + exact.shape[-1] / 2**14) + 16 * 2.0**-14
        lowest = torch.where(exact < 2.0**-15.9, 0, exact * 2**-octaves)
        assert bool((got >= grid.integers(lowest)).all())
        assert bool((got <= grid.integers(exact * 2**octaves)).all())
        for head in got.movedim(-3, 0):
            assert head.unique().numel() <= 2**config.num_bits  # type: ignore[union-attr]
    assert "table_softmax" in {operation.kind for operation in program.operations}


@pytest.mark.parametrize("config", [AdaLogConfig(), TwinConfig(num_bits=4), TwinConfig()])
def test_activation_levels_are_exact(config: QuantizerConfig) -> None:
    graph, program, codes = made("vit", activation=config)
    for node in nodes_of(graph, normal_form.activation):
        grid = graph.grids[node]
        assert isinstance(grid, LevelGrid)
        exact = exact_result(graph, codes, node)
        assert torch.equal(
            torch.from_numpy(shaped(codes[node.name], node)).double(), grid.integers(exact)
        )
        assert program.types[node.name].bits <= 15


def test_products_of_levels_are_near_exact() -> None:
    graph, _, codes = made("vit", attention_map=AdaLogConfig(), activation=TwinConfig())
    compared = 0
    for node in graph.quantizers:
        grid = graph.grids[node]
        reads = {graph.roles.get(operand) for operand in node.all_input_nodes}
        if isinstance(grid, UniformGrid) and reads & {"attention_map", "activation"}:
            exact = grid.quantize(exact_result(graph, codes, node))
            got = torch.from_numpy(shaped(codes[node.name], node)).double()
            difference = (got - exact).abs()
            assert difference.max() <= (1 if grid.high < 256 else 3), node.name
            assert (difference > 0).double().mean() < (0.05 if grid.high < 256 else 1)
            compared += 1
    assert compared == 4


@pytest.mark.parametrize("tokens", [197, 785])
def test_rows_of_levels_fit_int32(tokens: int) -> None:
    grids = [adalog_grid(8, [10]), adalog_grid(4, [10, 137]), twin_grid(8, 0), twin_grid(4, 11)]
    for grid in grids:
        table = logarithm_table(grid)
        bound = row_sum_bound(table, tokens)
        assert bound * 128 < 2**31
        assert table.shape == (
            grid.levels.reshape(-1, grid.levels.shape[-1]).shape[0],
            TABLE_ENTRIES,
        )


def test_tables_start_at_one_and_end_at_zero() -> None:
    table = logarithm_table(adalog_grid(4, [37]))[0]
    assert table[0] == 2**14 and table[-1] == 0
    # Halves: 2^-(k + 1/2) is where k changes.
    assert (np.flatnonzero(np.diff(table)) + 1)[:3].tolist() == [512, 1536, 2560]
    uniform = uniform_grid(torch.tensor(0.0), torch.tensor(1.0), num_bits=4, symmetric=False)
    assert sorted(set(logarithm_table(uniform)[0].tolist())) == list(range(16))


def test_an_attention_map_of_several_scales_is_refused() -> None:
    graph = calibrated("vit", with_roles("fq-vit-888", attention_map=UniformConfig()))
    node = nodes_of(graph, normal_form.softmax)[0]
    graph.grids[node] = UniformGrid(torch.full((17,), 0.01), 0, 0, 255)
    with pytest.raises(FullintError, match="needs a grid of one scale"):
        lower(graph)
