"""Weights with a scale a block: partial sums against real arithmetic."""

from __future__ import annotations

import pytest
import torch

from fullint.capture import normal_form
from fullint.integer.interpreter import run
from fullint.lowering import lower
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.grids import UniformGrid
from fullint.recipes.schema import UniformConfig

from ..small_models import calibrated, changed, decibels, images, pixels, size_of, traced
from .test_emitters import exact_result, shaped


def block_graph(name: str, num_bits: int, blocks: tuple[int, int]) -> QuantizedGraph:
    weights = UniformConfig(
        num_bits=num_bits, symmetric=True, strategy="block", blocks=blocks, observer="mse"
    )
    return calibrated(name, changed("default", weights=weights))


@pytest.mark.parametrize("num_bits", [4, 8])
@pytest.mark.parametrize("name", ["vit", "padded swin"])
def test_linear_layers_are_near_exact(name: str, num_bits: int) -> None:
    graph = block_graph(name, num_bits, (2, 3))
    program = lower(graph)
    batch = images(2, size_of(name), seed=5)
    codes = {"pixels": batch, **traced(program, batch)}
    compared = 0
    for node in graph.quantizers:
        grid = graph.grids[node]
        if node.target is normal_form.linear and isinstance(grid, UniformGrid):
            exact = exact_result(graph, codes, node) / grid.scale + grid.zero_point
            exact = exact.clamp(grid.low, grid.high)
            got = torch.from_numpy(shaped(codes[node.name], node))
            allowance = 0.6 if grid.high < 256 else 3 + 2.0**-11 * float(exact.abs().max())
            assert float((got - exact).abs().max()) <= allowance, node.name
            compared += 1
    assert compared >= 8
    kinds = [operation.kind for operation in program.operations]
    assert kinds.count("linear") >= 3 * compared


def test_blocks_of_powers_of_two_lose_nothing() -> None:
    graph = block_graph("vit", 4, (1, 4))
    for node, grid in list(graph.grids.items()):
        if node not in graph.quantizers:
            assert isinstance(grid, UniformGrid)
            scale = torch.exp2(torch.round(torch.log2(grid.scale)))
            graph.grids[node] = UniformGrid(scale, 0, grid.low, grid.high)
    program = lower(graph)
    for operation in program.operations:
        if ".sum" in operation.inputs[-1]:
            shift = program.constants[operation.inputs[4]]
            assert (shift == 0).all()  # every partial sum is multiplied by a whole number


def test_rows_alone_need_no_partial_sums() -> None:
    graph = block_graph("vit", 4, (4, 1))
    program = lower(graph)
    assert not any(".block" in operation.output for operation in program.operations)


def test_simulation_and_program_agree() -> None:
    graph = block_graph("vit", 8, (3, 4))
    program = lower(graph)
    with torch.no_grad():
        simulated = graph.simulate(pixels(6)).numpy()
    integer = run(program, images(6)) * program.logit_scale
    assert decibels(simulated, integer) > 28
    # Random weights: two classes of an image may be nearly tied.
    assert (simulated.argmax(1) == integer.argmax(1)).sum() >= 5
