"""Random attention heads."""

from __future__ import annotations

from typing import Any

import binding
import cases
import numpy as np

from fullint.integer.ops import find_operation

TOKENS = (1, 2, 15, 16, 17, 49, 64, 65, 144, 197, 197, 577, 785)
DEPTHS = (16, 24, 32, 48, 64, 64, 80)


def score_factor(rng: np.random.Generator, span: int) -> tuple[int, int, int]:
    """(pre_shift, multiplier, shift) from flat to one-hot rows; sometimes anything legal."""
    if rng.random() < 0.15:
        pre_shift = int(rng.integers(0, 20)) if span < 2**30 else 0
        return pre_shift, int(rng.integers(0, 2**15)), int(rng.integers(0, 31))
    factor = 2.0 ** rng.uniform(8, 18) / max(span, 1)
    meaningful = min(float(max(span, 1)), 32768 / factor)
    pre_shift = max(int(np.ceil(np.log2(max(meaningful, 1) / 32767))), 0)
    rest = factor * 2.0**pre_shift
    shift = int(np.clip(14 - np.floor(np.log2(rest)), 0, 30))
    return pre_shift, min(round(rest * 2.0**shift), 2**15 - 1), shift


def check_attention(rng: np.random.Generator, isas: list[str]) -> list[str]:
    """One head: some of its query rows."""
    keys, depth, value_depth = (
        int(rng.choice(TOKENS)),
        int(rng.choice(DEPTHS)),
        int(rng.choice(DEPTHS)),
    )
    rows = int(min(rng.choice([1, 5, 16, 31, 32, 33, 64, 197]), max(keys, 33)))
    dtypes = [str(rng.choice(["uint8", "int8", "int8"])) for _ in range(3)]
    zeros = [
        int(rng.integers(*cases.LIMITS[d], endpoint=True)) if d == "uint8" else 0 for d in dtypes
    ]
    q, k, v = (
        cases.numbers(rng, (count, width), *cases.LIMITS[dtype])
        for count, width, dtype in zip(
            (rows, keys, keys), (depth, depth, value_depth), dtypes, strict=True
        )
    )
    kind = str(rng.choice(binding.KINDS))
    scores = (q - zeros[0]) @ (k - zeros[1]).T
    addend = rng.integers(-(2**16), 2**16, size=scores.shape) if rng.random() < 0.3 else None
    if addend is not None:
        scores = scores + addend
    score_values = None
    if rng.random() < 0.3:
        score_values = cases.random_factors(rng, 1, int(np.abs(scores).max()), "uint8")
        scores = cases.requantize(scores, score_values)
    factor = score_factor(rng, int(scores.max() - scores.min()))
    rounding = int(rng.choice([0, 425, 512, 599, 1023]))
    value_bits = max(int(np.ceil(np.log2(max(abs(v - zeros[2]).max(), 1)))), 7)
    fraction_bits = (
        int(rng.integers(0, 14 - value_bits, endpoint=True))
        if rng.random() < 0.2
        else 14 - value_bits
    )
    entries = int(rng.choice([1, 1000, 16 * 1024, 49_152])) if kind == "table_softmax" else 0
    largest_level = int(rng.choice([1, 255, 2**14, 2**15 - 1]))
    table = rng.integers(0, largest_level, size=(1, entries), endpoint=True).astype(np.int16)
    if kind == "table_softmax" and keys * largest_level * abs(v - zeros[2]).max() >= 2**31:
        table //= 256
    expected = attend(
        kind, scores, factor, v - zeros[2], rounding, value_bits, fraction_bits, table
    )
    output_values, out_dtype = None, "int32"
    if rng.random() < 0.85:
        out_dtype = str(rng.choice(["uint8", "int8", "int16"]))
        count = int(rng.choice([1, value_depth]))
        output_values = cases.random_factors(
            rng, count, int(np.abs(expected).max()), out_dtype, exact=bool(rng.random() < 0.1)
        )
        expected = cases.requantize(expected, output_values)
    head = binding.Head(
        keys,
        depth,
        value_depth,
        *(binding.type_index(dtype) for dtype in dtypes),
        *zeros,
        int(addend is not None),
        binding.KINDS.index(kind),
        *factor,
        rounding,
        value_bits,
        fraction_bits,
        binding.type_index(out_dtype),
        entries,
        binding.pointer(table),
        binding.factors(score_values),
        binding.factors(output_values),
    )
    operands = [
        cases.strided(rng, array, dtype) for array, dtype in zip((q, k, v), dtypes, strict=True)
    ]
    addend_guarded = None if addend is None else cases.strided(rng, addend, "int32")
    what = (
        f"{kind} rows {rows} keys {keys} depths {depth} {value_depth} {dtypes} zeros {zeros} "
        f"factor {factor} addend {addend is not None} scores {score_values} "
        f"bits {value_bits} {fraction_bits} out {output_values}"
    )
    differences = []
    for isa in isas:
        out = binding.guarded(rows, value_depth, out_dtype, value_depth + int(rng.choice([0, 128])))
        binding.run_attention(isa, head, *operands, addend_guarded, out)
        differences += cases.compare(isa, out, expected, what)
    return differences


def attend(
    kind: str,
    scores: np.ndarray,
    factor: tuple[int, int, int],
    v: np.ndarray,
    rounding: int,
    value_bits: int,
    fraction_bits: int,
    table: np.ndarray,
) -> np.ndarray:
    """The softmax operation and the product that goes with it."""
    arrays: list[Any] = [np.array([[value]], dtype=np.int64) for value in factor]
    if kind == "table_softmax":
        arrays.append(table.astype(np.int64))
    attributes = {"rounding": rounding} if kind == "log2_softmax" else {}
    codes = find_operation(kind).compute(scores, *arrays, **attributes)
    if kind == "exponentials":
        compute = find_operation("weighted_average").compute
        return compute(codes, v, zero_v=0, value_bits=value_bits, fraction_bits=fraction_bits)
    if kind in ("softmax", "table_softmax"):
        return find_operation("matmul").compute(codes, v, zero_a=0, zero_b=0)
    return find_operation("shift_matmul").compute(codes, v, zero_b=0)
