"""Each operation of a lowered model against real arithmetic on the codes it reads.

So that differences do not accumulate, every operation is fed what the program's own tensors stand
for, and its result compared, in steps of its grid, with the exact one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import fx

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.fixed_point import fraction_bits_for_normalised
from fullint.integer.ops.layer_norm import largest_normalised
from fullint.integer.types import TensorType
from fullint.lowering.context import ProgramBuilder
from fullint.lowering.emitters import EMITTERS, Emission
from fullint.lowering.emitters.add import addition_multipliers
from fullint.lowering.emitters.layer_norm import exact_constants
from fullint.lowering.encoding import Encoding
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.grids import (
    LevelGrid,
    Log2Grid,
    RowRelativeGrid,
    UniformGrid,
)

from ..small_models import MODELS, images, lowered, size_of, traced


def real_values(graph: QuantizedGraph, codes: dict[str, np.ndarray], node: fx.Node) -> torch.Tensor:
    """What a program's tensor stands for, in float64, looking through nodes without a grid."""
    if node.op == "get_attr":
        values = getattr(graph.module, str(node.target)).double()
        grid = graph.grids.get(node)
        return values if grid is None else grid.fake_quantize(values)
    if node.op == "placeholder":
        return torch.from_numpy(codes["pixels"]).double()
    grid = graph.grids.get(node)
    if isinstance(grid, UniformGrid):
        return grid.dequantize(torch.from_numpy(shaped(codes[node.name], node)).double())
    if isinstance(grid, LevelGrid):
        return torch.from_numpy(shaped(codes[node.name], node)) * grid.scale
    if isinstance(grid, Log2Grid):
        return torch.exp2(-torch.from_numpy(shaped(codes[node.name], node)).double())
    if isinstance(grid, RowRelativeGrid):
        shares = torch.from_numpy(shaped(codes[node.name], node)).double()
        return shares / shares.sum(-1, keepdim=True)
    return exact_result(graph, codes, node)


def exact_result(
    graph: QuantizedGraph, codes: dict[str, np.ndarray], node: fx.Node
) -> torch.Tensor:
    """The node's function of the real values of its arguments."""

    def real(argument: object) -> object:
        return real_values(graph, codes, argument) if isinstance(argument, fx.Node) else argument

    return node.target(*fx.map_arg(node.args, real))  # type: ignore[operator]


def shaped(array: np.ndarray, node: fx.Node) -> np.ndarray:
    """A trace's (images, *one image) with the images where the model has them."""
    return array.astype(np.int64).reshape(-1, *array.shape[2:])


def differences(name: str, recipe: str) -> dict[fx.Node, float]:
    """Largest difference of every rounded tensor from exact arithmetic, in its steps."""
    graph, program = lowered(name, recipe)
    batch = images(2, size_of(name), seed=5)
    codes = {"pixels": batch, **traced(program, batch)}
    found: dict[fx.Node, float] = {}
    for node in graph.quantizers:
        grid = graph.grids[node]
        if isinstance(grid, UniformGrid):
            exact = exact_result(graph, codes, node)
            low, high = ((code - grid.zero_point) * grid.scale for code in (grid.low, grid.high))
            saturated = torch.minimum(torch.maximum(exact, low), high)
            got = real_values(graph, codes, node)
            found[node] = float(((got - saturated) / grid.scale).abs().max())
    return found


def allowance(node: fx.Node, grid: UniformGrid) -> float:
    """Half a step for the one rounding, and what the operation's documentation adds."""
    match node.target:
        case normal_form.activation:
            return 0.5 + 1e-9
        case normal_form.softmax:
            # The integer exponential; Swin's position bias is in whole steps of the scores.
            return 2.0 + node.meta["shape"][-1] / 128
    return 0.55 if grid.high - grid.low < 256 else 2.5


@pytest.mark.parametrize("recipe", ["default", "fq-vit", "fq-vit-888"])
@pytest.mark.parametrize("name", MODELS)
def test_every_operation_is_near_exact_arithmetic(name: str, recipe: str) -> None:
    graph, _ = lowered(name, recipe)
    for node, difference in differences(name, recipe).items():
        assert difference <= allowance(node, graph.uniform_grid_of(node)), node.name


def test_residual_additions_on_power_of_two_scales_are_exact() -> None:
    additions = {
        node.name: difference
        for node, difference in differences("deit3", "default").items()
        if "blocks" in node.name and node.target is normal_form.add
    }
    assert set(additions.values()) <= {0.0, 0.5}


@pytest.mark.parametrize("kind", ["gelu", "gelu_tanh", "relu", "silu", "hardswish", "quick_gelu"])
def test_activation_tables_are_right_for_every_code(kind: str) -> None:
    graph, _ = lowered("vit", "fq-vit")
    node = next(n for n in graph.module.graph.nodes if n.target is normal_form.activation)
    grid, source_grid = graph.uniform_grid_of(node), graph.uniform_grid_of(node.args[0])
    builder = ProgramBuilder(exact=False)
    builder.types["x"] = TensorType((1, 5), 0, 255)
    source = Encoding("x", source_grid.scale.numpy().reshape(1, 1), source_grid.zero_point)
    original = node.args
    try:
        node.args = (node.args[0], kind)
        emission = Emission(builder, graph, node, {node.args[0]: source}, grid)
        EMITTERS[normal_form.activation](emission)
    finally:
        node.args = original
    (table,) = builder.constants.values()
    assert table.shape == (256,)
    for code, entry in enumerate(table.tolist()):
        value = (code - source_grid.zero_point) * float(source_grid.scale)
        exact = REFERENCE[kind](value) / float(grid.scale) + grid.zero_point
        assert abs(entry - min(max(exact, grid.low), grid.high)) <= 0.5 + 1e-6


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


REFERENCE: dict[str, Callable[[float], float]] = {
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "relu": lambda x: max(x, 0.0),
    "silu": lambda x: x * sigmoid(x),
    "hardswish": lambda x: x * min(max(x + 3, 0.0), 6.0) / 6,
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
}

FACTOR = st.floats(1e-6, 100.0)
LARGEST = st.sampled_from([1, 127, 128, 255, 32768])


@given(FACTOR, FACTOR, LARGEST, LARGEST, st.floats(-1, 1), st.floats(-1, 1))
def test_addition_multipliers(
    factor_a: float, factor_b: float, largest_a: int, largest_b: int, at_a: float, at_b: float
) -> None:
    factors = np.array([factor_a]), np.array([factor_b])
    multiplier_a, multiplier_b, shift = addition_multipliers(*factors, largest_a, largest_b)
    a, b = round(at_a * largest_a), round(at_b * largest_b)
    total = a * int(multiplier_a[0]) + b * int(multiplier_b[0])
    assert abs(total) + (1 << int(shift[0])) < 2**32
    exact = Fraction(factor_a) * a + Fraction(factor_b) * b
    got = (total + ((1 << int(shift[0])) >> 1)) >> int(shift[0])
    rounding_of_multipliers = Fraction(abs(a) + abs(b), 2) / 2 ** int(shift[0])
    assert abs(got - exact) <= Fraction(1, 2) + rounding_of_multipliers
    # As precise as int32 allows.
    finer = 2 * factor_a * largest_a + 2 * factor_b * largest_b
    assert (
        shift[0] == 30
        or finer * 2.0 ** int(shift[0]) > 2**30
        or (
            multiplier_a[0] == factor_a * 2.0 ** int(shift[0])
            and multiplier_b[0] == factor_b * 2.0 ** int(shift[0])
        )
    )


def test_equal_grids_add_without_a_shift() -> None:
    ones = np.ones((1, 1, 1))
    a, b, shift = addition_multipliers(ones, ones, 32768, 32768)
    assert (a.item(), b.item(), shift.item()) == (1, 1, 0)


def test_operands_too_wide_to_add_are_refused() -> None:
    with pytest.raises(FullintError, match="too wide to be added"):
        addition_multipliers(np.array([1.0]), np.array([1.0]), 2**31, 2**31)


@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(-500, 500)), min_size=2, max_size=40),
    st.floats(-1, 1),
)
def test_affine_constants(channels: list[tuple[float, float]], position: float) -> None:
    gain, offset = (np.array(column) for column in zip(*channels, strict=True))
    multiplier, bias, shift = exact_constants(gain, offset)
    count = len(gain)
    largest = largest_normalised(count)
    assert np.abs(multiplier).max() < 2**15 and shift.min() >= 0 and shift.max() <= 30
    worst = np.abs(multiplier) * largest + np.abs(bias) + (np.int64(1) << shift) // 2
    assert worst.max() < 2**31
    normalised = round(position * largest)
    got = (normalised * multiplier + bias) / 2.0**shift
    exact = gain * normalised / 2.0 ** fraction_bits_for_normalised(count) + offset
    # 14 bits of the gain and of the offset, against the largest value each can make.
    scale = np.abs(gain) * math.sqrt(count) + np.abs(offset)
    assert np.all(np.abs(got - exact) <= scale * 2.0**-13 + 2.0**-14)


def test_a_gain_of_zero_leaves_the_offset_alone() -> None:
    multiplier, bias, shift = exact_constants(np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.5, 7.25]))
    assert multiplier[[0, 2]].tolist() == [0, 0]
    assert (bias / 2.0**shift).tolist() == [0.0, 0.5, 7.25]


def test_a_gain_no_shift_can_hold_is_refused() -> None:
    with pytest.raises(FullintError, match="gain or offset is too large"):
        exact_constants(np.array([1e9, 1.0]), np.zeros(2))
