"""The quantized graph: what is observed, what is frozen, what is simulated."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, fx

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import GraphRunner, QuantizedGraph
from fullint.quantization.grids import UniformGrid
from fullint.recipes import find_recipe
from fullint.recipes.schema import SharedConfig, UniformConfig

from ..small_models import calibrated, captured, normal_form_of, pixels, vit, with_roles

RECIPES = ["default", "fq-vit", "fq-vit-888"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_weight_and_every_role_of_the_recipe_has_a_grid(recipe: str) -> None:
    graph = calibrated("vit", recipe)
    declared = find_recipe(recipe).activations
    expected = {node for node, role in graph.roles.items() if role in declared}
    weights = {
        node.args[1] for node in graph.module.graph.nodes if node.target is normal_form.linear
    }
    assert set(graph.grids) == expected | weights


def test_calibration_is_of_the_float_model_and_in_order() -> None:
    module = normal_form_of("vit")
    graph = QuantizedGraph(module, find_recipe("fq-vit-omse"))
    reports: list[tuple[int, int]] = []
    data = CalibrationData(lambda: pixels(10).split(4), 10, lambda *done: reports.append(done))
    graph.calibrate(data)
    assert graph.passes == 3  # OMSE's two, then the power-of-two factors
    assert reports == [(done, 30) for done in (4, 8, 10, 14, 18, 20, 24, 28, 30)]


def test_simulated_tensors_lie_on_their_grids() -> None:
    graph = calibrated("vit", "fq-vit-888")
    seen = []

    def check(node: fx.Node, value: Tensor) -> Tensor:
        grid = graph.grids.get(node)
        if isinstance(grid, UniformGrid):
            codes = grid.quantize(value)
            assert torch.allclose(grid.dequantize(codes), value, atol=1e-6)
            assert codes.unique().numel() <= grid.high - grid.low + 1
            seen.append(node)
        return value

    with torch.no_grad():
        graph.simulate(pixels(2), check)
    assert set(seen) == set(graph.grids)


def test_no_grids_simulate_the_float_model() -> None:
    graph = calibrated("vit", "default")
    graph.grids.clear()
    with torch.no_grad():
        assert torch.equal(graph.simulate(pixels(3)), graph.module(pixels(3)))


def test_shared_grids_hold_branch_and_sum() -> None:
    graph = calibrated("vit", with_roles("default", residual_branch=SharedConfig()))
    nodes = {node.name: node for node in graph.roles}
    branch, addition = nodes["blocks_0_attn_proj"], nodes["blocks_0_add"]
    assert graph.grids[branch] is graph.grids[addition]
    assert graph.quantizers[branch] is graph.quantizers[addition]


def test_a_shared_grid_needs_an_addition_with_one() -> None:
    recipe = with_roles("default", residual=None)
    with pytest.raises(FullintError, match=r"'blocks_0_attn_proj' shares the grid of the addition"):
        QuantizedGraph(normal_form_of("vit"), recipe)


def test_activation_inputs_know_the_function_behind_them() -> None:
    wide = with_roles("fq-vit", activation_input=UniformConfig(observer="mse"))
    graph = calibrated("vit", wide)
    node = next(node for node, role in graph.roles.items() if role == "activation_input")
    grid = graph.uniform_grid_of(node)
    values: list[Tensor] = []

    def keep(at: fx.Node, value: Tensor) -> Tensor:
        if at is node:
            values.append(value)
        return value

    with torch.no_grad():
        GraphRunner(graph.module, keep).run(pixels())
    gelu = torch.nn.functional.gelu
    error = (gelu(grid.fake_quantize(values[0])) - gelu(values[0])).square().sum()
    naive = calibrated("vit", with_roles("fq-vit", activation_input=UniformConfig()))
    plain = naive.uniform_grid_of(next(n for n in naive.roles if n.name == node.name))
    assert error < (gelu(plain.fake_quantize(values[0])) - gelu(values[0])).square().sum()


def test_logits_that_are_not_finite_are_refused() -> None:
    graph = QuantizedGraph(captured(vit()), find_recipe("fq-vit"))
    graph.module.head_weight.mul_(float("inf"))
    with pytest.raises(FullintError, match="logits are not finite on the calibration images"):
        graph.calibrate(CalibrationData(lambda: [pixels(2)], 2))


def test_memory_of_calibration_does_not_grow_with_the_images() -> None:
    sizes = []
    for repeats in (1, 6):
        graph = QuantizedGraph(normal_form_of("vit"), find_recipe("fq-vit-omse"))
        batches = list(pixels(8).split(4)) * repeats
        graph.calibrate(CalibrationData(lambda batches=batches: batches, 8 * repeats))
        sizes.append(sum(map(state_size, graph.quantizers.values())))
    assert sizes[0] == sizes[1]


def state_size(holder: object) -> int:
    if isinstance(holder, Tensor):
        return holder.untyped_storage().nbytes()
    if isinstance(holder, list | tuple):
        return sum(map(state_size, holder))
    if isinstance(holder, type) or callable(holder) or not hasattr(holder, "__dict__"):
        return 0
    return sum(map(state_size, vars(holder).values()))
