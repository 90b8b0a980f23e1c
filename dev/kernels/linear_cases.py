"""Random linear layers."""

from __future__ import annotations

import binding
import cases
import numpy as np

from fullint.integer.ops import find_operation


def random_weights(rng: np.random.Generator, outputs: int, inputs: int) -> tuple[np.ndarray, str]:
    """Weights and the name of their grid: of 8 bits, of 4 with or without zero points, or of rows
    that span little, but not around zero.
    """
    grid = str(rng.choice(["int8", "int4", "zero points", "far rows"], p=[0.6, 0.1, 0.2, 0.1]))
    if grid in ("int8", "int4"):
        low, high = (-128, 127) if grid == "int8" else (-8, 7)
        return cases.numbers(rng, (outputs, inputs), low, high), grid
    nibbles = cases.numbers(rng, (outputs, inputs), 0, 15)
    starts = rng.integers(*((-15, 1) if grid == "zero points" else (-128, 113)), (outputs, 1))
    return nibbles + starts, grid


def check_linear(rng: np.random.Generator, isas: list[str]) -> list[str]:
    """linear with any end."""
    rows = int(rng.choice(cases.ROWS))
    inputs = int(rng.choice([1, 3, 24, 48, 64, 96, 100, 128, 192, 256, 384]))
    outputs = int(rng.choice([1, 10, 16, 31, 32, 33, 64, 100, 192]))
    x_dtype = str(rng.choice(["uint8", "uint8", "int8", "int16"], p=[0.4, 0.2, 0.3, 0.1]))
    low, high = cases.LIMITS[x_dtype]
    fitting = (2**31 - 2**21) // (128 * inputs)
    x = cases.numbers(rng, (rows, inputs), max(low, -fitting), min(high, fitting))
    weight, grid = random_weights(rng, outputs, inputs)
    bias = rng.integers(-(2**20), 2**20, size=outputs)
    expected = find_operation("linear").compute(x, weight, bias)
    ending = str(rng.choice(["accumulators", "requantize", "exact", "table", "addition"]))
    out_dtype, requantization, table, added, second = "int32", None, None, None, None
    second_dtype, table_dtype = "int16", "uint8"
    if ending != "accumulators":
        out_dtype = str(rng.choice(["uint8", "int8"] if ending == "table" else list(cases.LIMITS)))
        bound = int(np.abs(expected).max())
        requantization = cases.random_factors(
            rng, int(rng.choice([1, outputs])), bound, out_dtype, exact=ending == "exact"
        )
        expected = cases.requantize(expected, requantization)
    if ending == "table":
        table_dtype = str(rng.choice(["uint8", "int8"]))
        table = rng.integers(0, 256, size=256).astype(np.uint8)
        expected = table.view(table_dtype)[expected & 255].astype(np.int64)
        out_dtype = table_dtype
    if ending == "addition":
        second_dtype = str(rng.choice([*cases.LIMITS, out_dtype, out_dtype]))
        second_values = cases.numbers(rng, (rows, outputs), *cases.LIMITS[second_dtype])
        added = cases.random_addition(
            rng, int(rng.choice([1, outputs])), out_dtype, second_dtype, out_dtype
        )
        expected = cases.rescaled_add(expected, second_values, added)
        second = cases.strided(rng, second_values, second_dtype)
    x_guarded = cases.strided(rng, x, x_dtype)
    weight_bytes, bias_words = weight.astype(np.int8), bias.astype(np.int32)
    differences = []
    for isa in isas:
        kernel = binding.make(
            "linear",
            isa,
            binding.ctypes.c_int64(inputs),
            binding.ctypes.c_int64(outputs),
            binding.type_index(x_dtype),
            binding.pointer(weight_bytes),
            1,
            binding.pointer(bias_words),
            binding.factors(requantization),
            binding.pointer(table),
            binding.type_index(table_dtype),
            binding.addition(added),
            binding.type_index(second_dtype),
            binding.type_index(out_dtype),
        )
        out = binding.guarded(rows, outputs, out_dtype, outputs + int(rng.choice([0, 3])))
        in_place = second is not None and second_dtype == out_dtype and rng.random() < 0.5
        if in_place:
            out[...] = second_values
        binding.run(kernel, x_guarded, out if in_place else second, out)
        size = f"{rows}x{inputs}x{outputs} {x_dtype}->{out_dtype} weights {grid}"
        what = f"{ending} {size} {requantization} {added}"
        differences += cases.compare(isa, out, expected, what)
    return differences
