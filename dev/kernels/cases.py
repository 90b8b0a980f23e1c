"""Random cases: shapes with and without remainders, extreme values, and the right results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import binding
import numpy as np

from fullint.integer.ops import find_operation

ROWS = (1, 2, 5, 16, 17, 31, 32, 33, 48, 49, 64, 99, 144, 197)
LIMITS = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-(2**15), 2**15 - 1)}


def numbers(rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """Uniform; or all at an extreme; or only extremes; or near the middle."""
    style = rng.integers(6)
    if style == 0:
        return np.full(shape, rng.choice([low, high]), dtype=np.int64)
    if style == 1:
        return rng.choice(np.array([low, high], dtype=np.int64), size=shape)
    if style == 2:
        centre, width = (low + high) // 2, max((high - low) // 16, 1)
        return np.clip(rng.normal(centre, width, size=shape).astype(np.int64), low, high)
    return rng.integers(low, high, size=shape, endpoint=True)


def strided(rng: np.random.Generator, values: np.ndarray, dtype: str) -> np.ndarray:
    """In guarded memory, rows sometimes further apart than they are long."""
    gap = int(rng.choice([0, 0, 1, 64, 67]))
    return binding.guard(values, dtype, values.shape[1] + gap)


def output_grid(rng: np.random.Generator, dtype: str) -> tuple[int, int, int]:
    """(zero_point, low, high)."""
    low, high = LIMITS[dtype]
    if dtype == "int16" and rng.random() < 0.5:
        return 0, low, high  # as on a residual stream
    if rng.random() < 0.3:
        low, high = sorted(int(value) for value in rng.integers(low, high, size=2, endpoint=True))
    zero = 0 if rng.random() < 0.4 else int(rng.integers(low, high, endpoint=True))
    return zero, low, high


def random_factors(
    rng: np.random.Generator, count: int, bound: int, dtype: str, *, exact: bool = False
) -> dict[str, Any]:
    """Factors that bring accumulators up to `bound` onto the grid of `dtype`, or anything legal."""
    zero, low, high = output_grid(rng, dtype)
    grid = {"zero_point": zero, "low": low, "high": high}
    if exact:
        shift = rng.integers(0, 63, size=count)
        multiplier = rng.integers(0, 2**31 - 1, size=count)
        return pack_factors(np.zeros(count), multiplier, shift, 32, grid)
    if rng.random() < 0.2:
        pre_shift = rng.integers(0, 30, size=count)
        pre_shift = np.where(bound + 2.0**pre_shift < 2**31, pre_shift, 0)
        return pack_factors(
            pre_shift, rng.integers(0, 2**15, size=count), rng.integers(0, 31, size=count), 16, grid
        )
    if rng.random() < 0.2:
        pre_shift = np.full(count, max(int(bound).bit_length() - 15, 0))
        shift = rng.integers(int(rng.choice([0, 14])), 16, size=count)
        multiplier = rng.integers(0, np.minimum(2**15, 2 ** (shift + 1)))
        return pack_factors(pre_shift, multiplier, shift, 16, grid)
    spread = np.exp2(rng.uniform(-3, 2, size=count))
    factor = (high - low + 1) / max(bound, 1) * spread
    meaningful = np.minimum(bound, (max(-low, high) + 1) / factor)
    pre_shift = np.maximum(np.ceil(np.log2(np.maximum(meaningful, 1) / 32767)), 0)
    rest = np.ldexp(factor, pre_shift.astype(int))
    shift = np.clip(14 - np.floor(np.log2(rest)), 0, 30)
    multiplier = np.minimum(np.rint(np.ldexp(rest, shift.astype(int))), 2**15 - 1)
    return pack_factors(pre_shift, multiplier, shift, 16, grid)


def pack_factors(
    pre_shift: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    bits: int,
    grid: dict[str, int],
) -> dict[str, Any]:
    """As `binding.factors` takes them."""
    arrays = {"pre_shift": pre_shift, "multiplier": multiplier, "shift": shift}
    return {
        **{name: np.ascontiguousarray(array, dtype=np.int32) for name, array in arrays.items()},
        "intermediate_bits": bits,
        **grid,
    }


def random_addition(rng: np.random.Generator, count: int, a_dtype: str, b_dtype: str, dtype: str):
    """A RescaledAddition that cannot overflow."""
    zero, low, high = output_grid(rng, dtype)
    names = ("multiplier_a", "multiplier_b", "shift")
    if rng.random() < 0.4:
        arrays = [np.full(count, value, dtype=np.int32) for value in (1, 1, 0)]
        values = {"zero_a": 0, "zero_b": 0, "zero_point": 0}
    else:
        shift = rng.integers(0, 29, size=count)
        room = 2**31 - 2**29 - 2**17
        spans = [512 if "int8" in name else 70000 for name in (a_dtype, b_dtype)]
        multipliers = [
            rng.integers(-room // 2 // span, room // 2 // span, size=count) for span in spans
        ]
        arrays = [np.ascontiguousarray(array, dtype=np.int32) for array in (*multipliers, shift)]
        values = {
            "zero_a": int(rng.integers(-128, 128)),
            "zero_b": int(rng.integers(-128, 128)),
            "zero_point": zero,
        }
    return {**dict(zip(names, arrays, strict=True)), **values, "low": low, "high": high}


def requantize(x: np.ndarray, values: dict[str, Any]) -> np.ndarray:
    """The operation."""
    arrays = [values[name].astype(np.int64) for name in ("pre_shift", "multiplier", "shift")]
    attributes = {n: values[n] for n in ("intermediate_bits", "zero_point", "low", "high")}
    return find_operation("requantize").compute(x, *arrays, **attributes)


def rescaled_add(a: np.ndarray, b: np.ndarray, values: dict[str, Any]) -> np.ndarray:
    """The operation."""
    arrays = [values[n].astype(np.int64) for n in ("multiplier_a", "multiplier_b", "shift")]
    attributes = {n: values[n] for n in ("zero_a", "zero_b", "zero_point", "low", "high")}
    return find_operation("rescaled_add").compute(a, b, *arrays, **attributes)


def compare(isa: str, out: np.ndarray, expected: np.ndarray, description: str) -> list[str]:
    """Where out differs, or nothing."""
    wrong = np.argwhere(out.astype(np.int64) != expected)
    if len(wrong) == 0:
        return []
    first = tuple(wrong[0])
    return [
        f"{isa}: {len(wrong)} of {out.size} differ, first at {first}: "
        f"{out[first]} for {expected[first]}; {description}"
    ]


@dataclass(frozen=True)
class Case:
    """A kernel of rows, as `make_{kind}` takes its arguments, with operands and the right result.

    `gap`: how many elements the output's rows are further apart than they are long.
    """

    kind: str
    arguments: Sequence[Any]
    x: np.ndarray
    expected: np.ndarray
    out_dtype: str
    second: np.ndarray | None = None
    gap: int = 0

    def run(self, isas: list[str], what: str) -> list[str]:
        """What differs, on every instruction set."""
        rows, columns = self.expected.shape
        differences = []
        for isa in isas:
            kernel = binding.make(self.kind, isa, *self.arguments)
            out = binding.guarded(rows, columns, self.out_dtype, columns + self.gap)
            binding.run(kernel, self.x, self.second, out)
            differences += compare(isa, out, self.expected, what)
        return differences


def check_requantize(rng: np.random.Generator, isas: list[str]) -> list[str]:
    """requantize alone."""
    rows, columns = int(rng.choice(ROWS)), int(rng.choice([1, 16, 31, 33, 64, 192]))
    bound = int(2 ** rng.uniform(4, 30))
    x_dtype = str(rng.choice(["int32", "int16", "uint8"]))
    limits = (-bound, bound) if x_dtype == "int32" else LIMITS[x_dtype]
    x = numbers(rng, (rows, columns), *limits)
    out_dtype = str(rng.choice(list(LIMITS)))
    values = random_factors(
        rng, int(rng.choice([1, columns])), max(limits), out_dtype, exact=bool(rng.random() < 0.2)
    )
    expected = requantize(x, values)
    arguments = (
        binding.ctypes.c_int64(columns),
        binding.type_index(x_dtype),
        binding.type_index(out_dtype),
        binding.factors(values),
    )
    case = Case("requantize", arguments, strided(rng, x, x_dtype), expected, out_dtype)
    return case.run(isas, f"{rows}x{columns} {x_dtype}->{out_dtype} {values}")


def check_rescaled_add(rng: np.random.Generator, isas: list[str]) -> list[str]:
    """rescaled_add alone; the second operand sometimes one row for all."""
    rows, columns = int(rng.choice(ROWS)), int(rng.choice([1, 16, 31, 33, 64, 192]))
    a_dtype, b_dtype, out_dtype = (str(rng.choice(list(LIMITS))) for _ in range(3))
    values = random_addition(rng, int(rng.choice([1, columns])), a_dtype, b_dtype, out_dtype)
    a = numbers(rng, (rows, columns), *LIMITS[a_dtype])
    b = numbers(rng, (rows, columns), *LIMITS[b_dtype])
    expected = rescaled_add(a, b, values)
    arguments = (
        binding.ctypes.c_int64(columns),
        binding.type_index(a_dtype),
        binding.type_index(b_dtype),
        binding.type_index(out_dtype),
        binding.addition(values),
    )
    a_guarded, b_guarded = strided(rng, a, a_dtype), strided(rng, b, b_dtype)
    case = Case("rescaled_add", arguments, a_guarded, expected, out_dtype, second=b_guarded)
    return case.run(isas, f"{rows}x{columns} {a_dtype}+{b_dtype} {values}")


def check_lookup(rng: np.random.Generator, isas: list[str]) -> list[str]:
    """lookup of bytes."""
    rows, columns = int(rng.choice(ROWS)), int(rng.choice([1, 16, 31, 33, 64, 192, 769]))
    x = numbers(rng, (rows, columns), 0, 255)
    table = rng.integers(0, 256, size=256).astype(np.uint8)
    arguments = (binding.ctypes.c_int64(columns), binding.pointer(table))
    expected = table[x].astype(np.int64)
    case = Case("lookup", arguments, strided(rng, x, "uint8"), expected, "uint8", gap=5)
    return case.run(isas, f"{rows}x{columns}")


def check_layer_norm(rng: np.random.Generator, isas: list[str]) -> list[str]:
    """layer_norm of 8- and 16-bit inputs, with and without channel shifts."""
    rows, channels = int(rng.choice(ROWS)), int(rng.choice([1, 2, 31, 33, 64, 96, 192, 384, 1000]))
    x_dtype = str(rng.choice(["uint8", "int16", "int16"]))
    out_dtype = str(rng.choice(list(LIMITS)))
    x = numbers(rng, (rows, channels), *LIMITS[x_dtype])
    x[rng.random(rows) < 0.1] = int(rng.choice([0, 1, 100]))
    eight_bits = x_dtype == "uint8"
    zero_x = int(rng.integers(0, 256)) if eight_bits else 0
    largest_shift = int(rng.choice([0, 3, 7])) if eight_bits else 0
    channel_shift = rng.integers(0, largest_shift + 1, size=channels)
    zero, low, high = output_grid(rng, out_dtype)
    x[0, rng.integers(channels)] = x.max()
    shift = rng.integers(int(rng.choice([0, 16])), int(rng.choice([26, 30])), size=channels)
    multiplier = rng.integers(-(2**15) + 1, 2**15, size=channels)
    size = 2 ** int(rng.choice([24, 29]))
    bias = rng.integers(-size, size, size=channels)
    arrays = [channel_shift, multiplier, bias, shift]
    attributes = {
        "zero_x": zero_x,
        "epsilon": int(2 ** rng.uniform(0, 39)),
        "zero_point": zero,
        "low": low,
        "high": high,
    }
    expected = find_operation("layer_norm").compute(x, *arrays, **attributes)
    words = [np.ascontiguousarray(array, dtype=np.int32) for array in arrays]
    arguments = (
        binding.ctypes.c_int64(channels),
        binding.type_index(x_dtype),
        binding.type_index(out_dtype),
        *(binding.pointer(array) for array in words),
        zero_x,
        binding.ctypes.c_int64(attributes["epsilon"]),
        zero,
        low,
        high,
    )
    case = Case("layer_norm", arguments, strided(rng, x, x_dtype), expected, out_dtype)
    return case.run(isas, f"{rows}x{channels} {x_dtype}->{out_dtype} {attributes}")
