"""The chosen softmax, LayerNorm and GELU of a lowered model against the real functions.

What the operations compute is tested in tests/integer; here, that lowering gives them the right
scales: their results stand for the real function of what their inputs stand for, but for the error
that the approximation is known to have.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.program import IntegerProgram
from fullint.lowering import lower
from fullint.lowering.emitters.layer_norm import narrow_constants
from fullint.quantization.graph import QuantizedGraph
from fullint.recipes import Recipe, find_recipe, with_operations

from ..small_models import calibrated, changed, images, size_of, traced, with_roles
from .test_emitters import exact_result, shaped

# Largest error of a softmax's weight; of a GELU; of a LayerNorm, as a share of its value.
WEIGHT = {"shiftmax": 0.04, "e2softmax": 0.3, "itamax": 0.3}
GELU = {"shiftgelu": 0.03, "ibert_gelu": 0.02}
SHARE = {"i_layernorm": 0.01, "ailayernorm": 0.08}


def lowered(name: str, recipe: Recipe) -> tuple[QuantizedGraph, IntegerProgram]:
    graph = calibrated(name, recipe)
    return graph, lower(graph)


def pairs(
    name: str, recipe: Recipe, function: object, scale: float | None = None
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of every node of a function: real values of its results, what they should be (saturated as
    codes are), one step (of each channel).
    """
    graph, program = lowered(name, recipe)
    batch = images(2, size_of(name), seed=5)
    codes = {"pixels": batch, **traced(program, batch)}
    found = []
    for node in graph.module.graph.nodes:
        if node.target is function:
            exact = exact_result(graph, codes, node).numpy()
            if scale is not None:
                step, zero = np.array(scale), 0
            else:
                grid = graph.uniform_grid_of(node)
                step, zero = grid.scale.numpy(), grid.common_zero_point
                exact = np.clip(exact, (grid.low - zero) * step, (grid.high - zero) * step)
            found.append(((shaped(codes[node.name], node) - zero) * step, exact, step))
    assert found
    return found


@pytest.mark.parametrize(
    ("softmax", "name"),
    [("shiftmax", "vit"), ("e2softmax", "vit"), ("itamax", "vit"), ("e2softmax", "swin")],
)
def test_softmax(softmax: str, name: str) -> None:
    recipe = with_operations(find_recipe("fq-vit-888"), softmax)
    for got, exact, step in pairs(name, recipe, normal_form.softmax, 1 / 256):
        assert abs(got - exact).max() <= WEIGHT[softmax] + step
        assert abs((got - exact).mean()) < 0.02


@pytest.mark.parametrize("natural", [False, True])
@pytest.mark.parametrize("fraction_bits", [0, 3])
def test_scores_reach_the_softmax_in_its_steps(fraction_bits: int, natural: bool) -> None:
    """Also from a grid of their own, asymmetric or not, which places the codes."""
    softmax = {"type": "e2softmax", "fraction_bits": fraction_bits, "natural": natural}
    for symmetric in (None, False, True):
        grid = symmetric if symmetric is None else {"type": "uniform", "symmetric": symmetric}
        recipe = with_roles("sole", attention_scores=grid)
        recipe = Recipe.model_validate(recipe.model_dump() | {"softmax": softmax})
        for got, exact, _ in pairs("vit", recipe, normal_form.softmax, 1 / 256):
            assert abs(got - exact).max() < 0.35 and abs(got.sum(-1) - 1).max() < 0.7


def test_scores_beyond_the_codes_are_refused() -> None:
    recipe = with_roles("sole", attention_scores={"type": "uniform", "headroom": 100.0})
    recipe = Recipe.model_validate(
        recipe.model_dump() | {"softmax": {"type": "itamax", "fraction_bits": 5}}
    )
    with pytest.raises(FullintError, match=r"steps of 2.*give its softmax fewer fraction_bits"):
        lowered("vit", recipe)


def test_four_bit_codes() -> None:
    recipe = with_operations(find_recipe("fq-vit"), "e2softmax")
    _, program = lowered("vit", recipe)
    kinds = {operation.kind for operation in program.operations}
    assert {"e2softmax", "shift_matmul"} <= kinds


def test_fifteen_bits() -> None:
    for got, exact, _ in pairs("vit", find_recipe("i-vit"), normal_form.softmax, 2.0**-15):
        assert abs(got - exact).max() < 0.03 and abs(got.sum(-1) - 1).max() < 0.01


@pytest.mark.parametrize("gelu", GELU)
@pytest.mark.parametrize("base", ["fq-vit-888", "i-vit", "default"])
def test_gelu(base: str, gelu: str) -> None:
    recipe = with_operations(find_recipe(base), None, None, gelu.removesuffix("_gelu"))
    for got, exact, step in pairs("vit", recipe, normal_form.activation):
        assert abs(got - exact).max() <= GELU[gelu] + step
    assert gelu in {operation.kind for operation in lowered("vit", recipe)[1].operations}


def test_other_activation_functions_stay_tables() -> None:
    graph = calibrated("vit", with_operations(find_recipe("default"), None, None, "shiftgelu"))
    for node in graph.module.graph.nodes:
        if node.target is normal_form.activation:
            node.args = (node.args[0], "relu")
    try:
        kinds = {operation.kind for operation in lower(graph).operations}
    finally:
        for node in graph.module.graph.nodes:
            if node.target is normal_form.activation:
                node.args = (node.args[0], "gelu")
    assert "lookup" in kinds and "shiftgelu" not in kinds


@pytest.mark.parametrize(
    ("base", "layer_norm", "name"),
    [
        ("fq-vit-888", "ailayernorm", "vit"),
        ("fq-vit-888", "i-layernorm", "vit"),
        ("default", "i-layernorm", "vit"),
        ("fq-vit-888", "ailayernorm", "swin"),  # its first LayerNorm makes the stream
        ("fq-vit-888", "i-layernorm", "swin"),
    ],
)
def test_layer_norm(base: str, layer_norm: str, name: str) -> None:
    kind = layer_norm.replace("-", "_")
    recipe = with_operations(find_recipe(base), None, layer_norm)
    for got, exact, step in pairs(name, recipe, normal_form.layer_norm):
        limit = SHARE[kind] * abs(exact).max() + 0.6 * step
        assert (abs(got - exact) <= limit).all()


def test_the_numbers_of_a_recipe_reach_the_program() -> None:
    recipe = changed(
        "i-vit",
        softmax={"type": "shiftmax", "fraction_bits": 3, "octaves": 15, "natural": True},
        layer_norm={"type": "i-layernorm", "start_bits": 16, "iterations": 10},
        gelu={"type": "shiftgelu", "row_maximum": True, "gate_bits": 7},
    )
    _, program = lowered("vit", recipe)
    attributes = {operation.kind: operation.attributes for operation in program.operations}
    assert attributes["shiftmax"] == {
        "fraction_bits": 3,
        "octaves": 15,
        "natural": 1,
        "rounding": 1,
        "output_bits": 15,
    }
    assert attributes["i_layernorm"]["start_bits"] == 16
    assert attributes["i_layernorm"]["iterations"] == 10
    assert (attributes["shiftgelu"]["row_maximum"], attributes["shiftgelu"]["gate_bits"]) == (1, 7)


def test_narrow_constants() -> None:
    gain, offset = np.array([1.0, -7.5, 0.0, 30.0]), np.array([0.0, 3.25, -100.0, 12.0])
    multiplier, bias, shift = narrow_constants(gain, offset)
    assert abs(multiplier).max() <= 127 and len(set(shift.tolist())) == 1
    unit = 2.0 ** (shift - 9)  # 10 bits of normalised values less half the bits of 4 channels
    assert np.allclose(multiplier / unit, gain, atol=0.51 / unit[0])
    assert np.allclose(bias / 2.0**shift, offset, atol=0.51 / 2.0 ** shift[0])
    assert 2 * abs(multiplier).max() > 127 or 2 * abs(bias).max() >= 2**18
    with pytest.raises(FullintError, match="too large"):
        narrow_constants(gain, np.full(4, 1e9))


def test_simulation_and_program_agree_on_the_class() -> None:
    """Of random weights; the simulation has exact functions on the recipe's grids."""
    for name in ("sole", "i-vit"):
        graph, program = lowered("vit", find_recipe(name))
        batch = images(8, seed=5)
        with torch.no_grad():
            simulated = graph.simulate(torch.from_numpy(batch).float()).numpy()
        logits = traced(program, batch)[program.output_name].reshape(len(batch), -1)
        logits = logits * program.logit_scale
        assert np.sqrt(((logits - simulated) ** 2).mean() / (simulated**2).mean()) < 0.2
