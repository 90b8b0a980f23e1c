"""Additions: constants join accumulators and scores as integers; two computed tensors meet in a
residual addition.
"""

from __future__ import annotations

import numpy as np

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.types import INT32_HIGH, TensorType
from fullint.lowering.context import grid_scale
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding, of_rank
from fullint.quantization.grids import SMALLEST_SCALE, UniformGrid
from fullint.quantization.roles import is_constant

LARGEST_SHIFT = 30
CONSTANT_BITS = 16


@register(normal_form.add)
def emit_add(emission: Emission) -> Encoding:
    """add or rescaled_add."""
    a_node, b_node = emission.arguments
    if is_constant(a_node):
        a_node, b_node = b_node, a_node
    a = emission.numbers(a_node)
    if not is_constant(b_node):
        return _emit_rescaled_add(emission, a, emission.numbers(b_node), emission.uniform_grid())
    values = emission.constant(b_node)
    if a.accumulators or emission.grid is None:
        return emission.finish(_add_in_steps(emission, a, values))
    return _emit_rescaled_add(
        emission, a, _constant_encoding(emission, values), emission.uniform_grid()
    )


def _add_in_steps(emission: Emission, a: Encoding, values: np.ndarray) -> Encoding:
    """A constant in the steps of a: positions, relative-position bias, attention mask."""
    constant = emission.add_constant("addend", np.rint(values / a.scale).astype(np.int64))
    name = emission.emit("add", [a.name, constant], emission.pending_name())
    return a.renamed(name, of_rank(a.scale, emission.rank))


def _constant_encoding(emission: Emission, values: np.ndarray) -> Encoding:
    scale = max(float(np.abs(values).max()), SMALLEST_SCALE) / (2 ** (CONSTANT_BITS - 1) - 1)
    name = emission.add_constant("addend", np.rint(values / scale).astype(np.int64))
    return Encoding(name, of_rank(scale, values.ndim))


def _emit_rescaled_add(emission: Emission, a: Encoding, b: Encoding, grid: UniformGrid) -> Encoding:
    types = emission.builder.types
    scale = grid_scale(grid, emission.rank)
    multipliers = addition_multipliers(
        a.scale / scale,
        b.scale / scale,
        _largest(types[a.name], a.zero_point),
        _largest(types[b.name], b.zero_point),
    )
    constants = [
        emission.add_constant(part, values)
        for part, values in zip(("multiplier_a", "multiplier_b", "shift"), multipliers, strict=True)
    ]
    emission.emit(
        "rescaled_add",
        [a.name, b.name, *constants],
        emission.name,
        zero_a=a.zero_point,
        zero_b=b.zero_point,
        zero_point=grid.common_zero_point,
        low=grid.low,
        high=grid.high,
    )
    return Encoding(emission.name, scale, grid.common_zero_point)


def _largest(tensor: TensorType, zero_point: int) -> int:
    return max(abs(tensor.low - zero_point), abs(tensor.high - zero_point), 1)


def addition_multipliers(
    factor_a: np.ndarray, factor_b: np.ndarray, largest_a: int, largest_b: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Multipliers and shift of a sum of two rescaled tensors.

    The smallest shift at which both factors are whole numbers (1, 1 and 0 for equal grids), else
    the largest that keeps the sum in int32.
    """
    factor_a, factor_b = np.broadcast_arrays(factor_a, factor_b)
    chosen = None
    for shift in range(LARGEST_SHIFT + 1):
        multiplier_a, multiplier_b = np.ldexp(factor_a, shift), np.ldexp(factor_b, shift)
        rounded_a, rounded_b = np.rint(multiplier_a), np.rint(multiplier_b)
        worst = rounded_a * largest_a + rounded_b * largest_b + 2.0**shift / 2
        if worst.max() > INT32_HIGH:
            break
        chosen = rounded_a, rounded_b, np.full(factor_a.shape, shift)
        if np.array_equal(rounded_a, multiplier_a) and np.array_equal(rounded_b, multiplier_b):
            break
    if chosen is None:
        raise FullintError(
            "its operands are too wide to be added; give both a grid of at most 16 bits"
        )
    first, second, shifts = (array.astype(np.int64) for array in chosen)
    return first, second, shifts
