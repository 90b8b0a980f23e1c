"""Random cases of the operations in rows/, and of lookups in long tables."""

from __future__ import annotations

import ctypes
from typing import Any

import binding
import numpy as np
from cases import LIMITS, ROWS, Case, compare, numbers, strided

from fullint.integer.ops import find_operation

COLUMNS = (1, 2, 15, 16, 17, 31, 33, 64, 100, 197, 577, 785)
# As the enumerations in row_operations.h, and the attributes as row_entry_points.cpp reads them.
SOFTMAXES, GELUS, NORMS = (
    ("e2softmax", "itamax", "shiftmax"),
    ("ibert_gelu", "shiftgelu"),
    ("ailayernorm", "i_layernorm"),
)
Attributes = dict[str, Any]


def packed(values: Attributes, names: str) -> np.ndarray:
    """Attributes in this order, 0 for those that an operation lacks; of lists their elements."""
    flat = [np.atleast_1d(values.get(name, 0)) for name in names.split()]
    return np.concatenate(flat).astype(np.int32)


def random_factor(rng: np.random.Generator, largest: int, result: int) -> list[int]:
    """pre_shift, multiplier, shift that bring `largest` to about `result`, give or take."""
    spread = int(rng.integers(-2, 3))
    pre_shift = max(int(largest).bit_length() - 15 + int(rng.integers(0, 2)), 0)
    shift = 15 + int(np.ceil(np.log2(max(largest, 1) / result))) - pre_shift + spread
    return [pre_shift, int(rng.integers(2**14, 2**15)), int(np.clip(shift, 0, 30))]


def grids(rng: np.random.Generator, x_dtype: str, out_dtype: str) -> Attributes:
    """Zero points of input and output anywhere, and all codes of the output's type."""
    low, high = LIMITS[out_dtype]
    return {
        "zero_x": int(rng.integers(*LIMITS[x_dtype], endpoint=True)),
        "zero_point": int(rng.integers(low, high, endpoint=True)),
        "low": low,
        "high": high,
    }


def check_row_softmax(rng: np.random.Generator, isas: list[str]) -> list[str]:
    """e2softmax, itamax, shiftmax: scores in any order, also rising or falling throughout."""
    kind, columns = str(rng.choice(SOFTMAXES)), int(rng.choice(COLUMNS))
    rows, bound = int(rng.integers(1, 20)), int(2 ** rng.uniform(3, 29))
    scores = numbers(rng, (rows, columns), -bound, bound)
    if rng.random() < 0.3:
        scores = np.sort(scores, axis=-1)[:, :: int(rng.choice([-1, 1]))]
    factor = random_factor(rng, bound, 9000 if kind == "shiftmax" else 200)
    fraction_bits = int(rng.integers(0, 6))
    attributes: Attributes = {"fraction_bits": fraction_bits}
    if kind == "shiftmax":
        attributes["octaves"] = int(rng.integers(1, 20 - fraction_bits))
    else:
        attributes["zero_point"] = int(rng.integers(0, 256))
        attributes["group"] = int(rng.choice([1, 2, 3, 8, 16, 64, 1000]))
    if kind != "e2softmax":
        attributes["rounding"] = int(rng.integers(2))
    if kind != "itamax":
        attributes["natural"] = int(rng.integers(2))
        attributes["output_bits"] = int(rng.choice([4, 8]))
    if kind == "e2softmax":
        attributes["quotients"] = tuple(int(q) for q in rng.integers(1, 256, 2))
    expected = find_operation(kind).compute(scores, *map(np.array, factor), **attributes)
    names = "factor zero_point fraction_bits octaves natural rounding output_bits group"
    values = {"quotients": (0, 0), **attributes, "factor": factor}
    flat = packed(values, f"{names} quotients")
    differences = []
    for isa in isas:
        work = binding.guard(scores, "int32")
        out = binding.guarded(rows, columns, "uint16")
        binding.run_row_softmax(isa, SOFTMAXES.index(kind), flat, work, out)
        differences += compare(isa, out, expected, f"{kind} {rows}x{columns} {factor} {attributes}")
    return differences


def check_row_norm(rng: np.random.Generator, isas: list[str]) -> list[str]:
    """ailayernorm, i_layernorm."""
    kind = str(rng.choice(NORMS))
    rows, channels = int(rng.choice(ROWS)), int(rng.choice([1, 2, 31, 33, 96, 192, 384, 1000]))
    is_short = kind == "ailayernorm"
    x_dtype = str(rng.choice(["uint8", "int8"] if is_short else list(LIMITS)))
    out_dtype = str(rng.choice(["uint8", "int8"] if is_short else list(LIMITS)))
    low, high = LIMITS[x_dtype]
    x = numbers(rng, (rows, channels), low, high)
    attributes = grids(rng, x_dtype, out_dtype)
    if is_short:
        attributes |= {"epsilon": int(2 ** rng.uniform(4, 29)), "ranges": int(rng.integers(2, 4))}
        arrays = [
            rng.integers(0, 4, channels),
            numbers(rng, (channels,), -127, 127),
            numbers(rng, (channels,), 1 - 2**18, 2**18 - 1),
            np.full(channels, rng.integers(0, 16)),
        ]
    else:
        room = 31 - (channels * (high - low)).bit_length()
        fraction_bits = int(rng.integers(0, min(room, 8) + 1))
        attributes |= {
            "epsilon": int(2 ** rng.uniform(0, 39)),
            "fraction_bits": fraction_bits,
            "start_bits": int(rng.choice([0, 16])),
            "iterations": int(rng.integers(1, 11)),
        }
        arrays = [
            rng.integers(0, min(room - fraction_bits, 7) + 1, channels),
            numbers(rng, (channels,), 1 - 2**14, 2**14 - 1),
            numbers(rng, (channels,), -(2**29), 2**29),
            rng.integers(0, 30, channels),
        ]
    expected = find_operation(kind).compute(x, *arrays, **attributes)
    words = [np.ascontiguousarray(array, dtype=np.int32) for array in arrays]
    names = "zero_x zero_point low high ranges fraction_bits start_bits iterations"
    flat = packed(attributes, names)
    arguments = (
        NORMS.index(kind),
        binding.pointer(flat),
        ctypes.c_int64(attributes["epsilon"]),
        ctypes.c_int64(channels),
        binding.type_index(x_dtype),
        binding.type_index(out_dtype),
        *(binding.pointer(array) for array in words),
    )
    case = Case("row_norm", arguments, strided(rng, x, x_dtype), expected, out_dtype)
    return case.run(isas, f"{kind} {rows}x{channels} {attributes}")


def check_row_gelu(rng: np.random.Generator, isas: list[str]) -> list[str]:
    """ibert_gelu, shiftgelu."""
    kind = str(rng.choice(GELUS))
    rows, columns = int(rng.choice(ROWS)), int(rng.choice(COLUMNS))
    x_dtype, out_dtype = (str(rng.choice(list(LIMITS))) for _ in range(2))
    low, high = LIMITS[x_dtype]
    x = numbers(rng, (rows, columns), low, high)
    attributes = grids(rng, x_dtype, out_dtype)
    if kind == "shiftgelu":
        fraction_bits, gate_bits = int(rng.integers(0, 11)), int(rng.integers(4, 16))
        attributes |= {
            "fraction_bits": fraction_bits,
            "octaves": int(rng.integers(1, min(24, 29 - fraction_bits) + 1)),
            "gate_bits": gate_bits,
            **{name: int(rng.integers(2)) for name in ("natural", "rounding", "row_maximum")},
        }
        gate = 2**gate_bits
    else:
        edge = int(2 ** rng.uniform(0, 14.9))
        unit = min(edge * edge // 2 + int(rng.integers(1, 2**20)), 2**29 - 1)
        gate_shift = max((2 * unit).bit_length() - int(rng.integers(4, 15)), 0)
        attributes |= {"edge": edge, "unit": unit, "gate_shift": gate_shift}
        gate = 2 * unit >> gate_shift
    factor = random_factor(rng, high - low, 9000 if kind == "shiftgelu" else 2000)
    output_factor = random_factor(rng, (high - low) * max(gate, 1) // 2, 300)
    expected = find_operation(kind).compute(
        x, *map(np.array, (*factor, *output_factor)), **attributes
    )
    names = (
        "factor output_factor zero_x zero_point low high edge unit gate_shift "
        "fraction_bits octaves natural rounding row_maximum gate_bits"
    )
    flat = packed({**attributes, "factor": factor, "output_factor": output_factor}, names)
    arguments = (
        GELUS.index(kind),
        binding.pointer(flat),
        ctypes.c_int64(columns),
        binding.type_index(x_dtype),
        binding.type_index(out_dtype),
    )
    case = Case("row_gelu", arguments, strided(rng, x, x_dtype), expected, out_dtype)
    types, factors = f"{x_dtype}->{out_dtype}", f"{factor} {output_factor}"
    return case.run(isas, f"{kind} {rows}x{columns} {types} {factors} {attributes}")


def check_word_lookup(rng: np.random.Generator, isas: list[str]) -> list[str]:
    """lookup in tables of up to 2^16 words."""
    rows, columns = int(rng.choice(ROWS)), int(rng.choice(COLUMNS))
    x_dtype, out_dtype = (str(rng.choice(list(LIMITS))) for _ in range(2))
    low, high = sorted(int(code) for code in rng.integers(*LIMITS[x_dtype], size=2, endpoint=True))
    x = numbers(rng, (rows, columns), low, high)
    table = numbers(rng, (high - low + 1,), *LIMITS[out_dtype]).astype(np.int16)
    arguments = (
        ctypes.c_int64(columns),
        binding.type_index(x_dtype),
        binding.type_index(out_dtype),
        low,
        binding.pointer(table),
        ctypes.c_int64(len(table)),
    )
    expected = table[x - low].astype(np.int64)
    case = Case("word_lookup", arguments, strided(rng, x, x_dtype), expected, out_dtype, gap=5)
    return case.run(isas, f"{rows}x{columns} {x_dtype}->{out_dtype} {low}..{high}")
