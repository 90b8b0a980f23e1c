"""Additions: constants join accumulators exactly; two computed tensors meet in a residual addition."""

from __future__ import annotations

import numpy as np

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.types import INT32_HIGH, TensorType
from fullint.lowering.context import grid_scale
from fullint.lowering.emitters.layout import constant_codes
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding, of_rank
from fullint.quantization.grids import UniformGrid
from fullint.quantization.roles import is_constant

LARGEST_SHIFT = 30
CONSTANT_BITS = 16


@register(normal_form.add)
def emit_add(emission: Emission) -> Encoding:
    """add or rescaled_add."""
    a_node, b_node = emission.node.args
    if is_constant(a_node):
        a_node, b_node = b_node, a_node
    a = emission.encodings[a_node]  # type: ignore[index]
    if is_constant(b_node):
        values = emission.constant(b_node)
        if a.accumulators:
            return emission.finish(_add_bias(emission, a, values))
        b = _constant_encoding(emission, values)
    else:
        b = emission.encodings[b_node]  # type: ignore[index]
    return _emit_rescaled_add(emission, a, b, emission.uniform_grid())


def _add_bias(emission: Emission, a: Encoding, values: np.ndarray) -> Encoding:
    """A constant in steps of the accumulators: positions, relative-position bias, attention mask."""
    codes = constant_codes(values, a)
    constant = emission.builder.add_constant(f"{emission.name}.addend", codes)
    emission.builder.emit("add", [a.name, constant], emission.pending_name(), source=emission.source)
    rank = len(emission.node.meta["shape"])
    return a.renamed(emission.pending_name(), of_rank(a.scale, rank))


def _constant_encoding(emission: Emission, values: np.ndarray) -> Encoding:
    scale = max(float(np.abs(values).max()), 2.0**-40) / (2 ** (CONSTANT_BITS - 1) - 1)
    name = emission.builder.add_constant(f"{emission.name}.addend", np.rint(values / scale).astype(np.int64))
    return Encoding(name, of_rank(scale, values.ndim))


def _emit_rescaled_add(emission: Emission, a: Encoding, b: Encoding, grid: UniformGrid) -> Encoding:
    builder, name = emission.builder, emission.name
    scale = grid_scale(grid, len(emission.node.meta["shape"]))
    multipliers = addition_multipliers(
        a.scale / scale,
        b.scale / scale,
        _largest(builder.types[a.name], a.zero_point),
        _largest(builder.types[b.name], b.zero_point),
    )
    constants = [
        builder.add_constant(f"{name}.{part}", values)
        for part, values in zip(("multiplier_a", "multiplier_b", "shift"), multipliers, strict=True)
    ]
    builder.emit(
        "rescaled_add",
        [a.name, b.name, *constants],
        name,
        source=emission.source,
        zero_a=a.zero_point,
        zero_b=b.zero_point,
        zero_point=grid.zero_point,
        low=grid.low,
        high=grid.high,
    )
    return Encoding(name, scale, grid.zero_point)


def _largest(tensor: TensorType, zero_point: int) -> int:
    return max(abs(tensor.low - zero_point), abs(tensor.high - zero_point), 1)


def addition_multipliers(
    factor_a: np.ndarray, factor_b: np.ndarray, largest_a: int, largest_b: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Multipliers and shift of a sum of two rescaled tensors.

    The smallest shift at which both factors are whole numbers (1, 1 and 0 for equal grids), else the largest that keeps the
    sum in int32.
    """
    factor_a, factor_b = np.broadcast_arrays(factor_a, factor_b)
    chosen = None
    for shift in range(LARGEST_SHIFT + 1):
        multiplier_a, multiplier_b = np.ldexp(factor_a, shift), np.ldexp(factor_b, shift)
        worst = np.rint(multiplier_a) * largest_a + np.rint(multiplier_b) * largest_b + 2.0**shift / 2
        if worst.max() > INT32_HIGH:
            break
        chosen = np.rint(multiplier_a), np.rint(multiplier_b), np.full(factor_a.shape, shift)
        if np.array_equal(chosen[0], multiplier_a) and np.array_equal(chosen[1], multiplier_b):
            break
    if chosen is None:
        raise FullintError("the operands of an addition are too wide for it; give both a grid of at most 16 bits")
    return tuple(array.astype(np.int64) for array in chosen)  # type: ignore[return-value]
