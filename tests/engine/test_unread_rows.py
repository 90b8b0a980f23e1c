"""Rows that nobody reads are left out, and only they: the last block of a vision transformer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullint.engine import Engine, supported_isas

from .comparison import assert_engine_equals_interpreter
from .programs import RANGES, ProgramBuilder, random_images
from .strategies import examples, seeds
from .test_attention import build_attention


def linear(builder: ProgramBuilder, x: str, width: int) -> str:
    """A linear layer to uint8 codes."""
    _, rows, depth = builder.shapes[x]
    weight = builder.constant(builder.integers(-128, 127, (width, depth)))
    bias = builder.constant(builder.integers(-900, 900, (width,)))
    sums = builder.add("linear", [x, weight, bias], (1, rows, width))
    factors = builder.factors((width,), depth * 128 * 100, 200)
    grid = {"intermediate_bits": 16, "zero_point": 100, "low": 0, "high": 255}
    return builder.add("requantize", [sums, *factors], (1, rows, width), **grid)


def rows_of(builder: ProgramBuilder, x: str, start: int, stop: int) -> str:
    _, _, width = builder.shapes[x]
    return builder.add("slice", [x], (1, stop - start, width), dim=1, start=start, stop=stop)


@examples
@given(seeds, st.integers(1, 60), st.data())
def test_any_rows_of_a_chain_of_layers(seed, rows, data):
    builder = ProgramBuilder(seed)
    x = builder.operand((1, rows, 30), *RANGES["uint8"])
    parts = []
    for width in (40, 33, 64):
        x = linear(builder, x, width)
        start = data.draw(st.integers(0, rows - 1))
        part = rows_of(builder, x, start, data.draw(st.integers(start + 1, rows)))
        parts.append(builder.reshape(part, (1, int(np.prod(builder.shapes[part])))))
    parts = parts[data.draw(st.integers(0, 2)) :]
    size = sum(builder.shapes[part][1] for part in parts)
    assert_engine_equals_interpreter(builder.finish(builder.add("concat", parts, (1, size), dim=1)))


@pytest.mark.parametrize("tokens", [1, 17, 197])
@pytest.mark.parametrize("read", [1, 16, 40])
def test_few_rows_of_attention(tokens, read):
    builder, output = build_attention(
        tokens,
        kind="exponentials",
        codes="int8",
        windows=1,
        heads=3,
        tokens=tokens,
        depth=16,
        addends=0,
        requantizes_scores=False,
        requantizes=True,
        per_head=True,
    )
    shape = builder.shapes[output]
    axis, count = shape.index(tokens), min(read, tokens)
    kept = (*shape[:axis], count, *shape[axis + 1 :])
    output = builder.add("slice", [output], kept, dim=axis, start=0, stop=count)
    assert_engine_equals_interpreter(builder.finish(output))


@pytest.mark.parametrize("isa", supported_isas())
def test_the_work_is_left_out(isa):
    builder = ProgramBuilder(0)
    x = builder.operand((1, 50, 30), *RANGES["uint8"])
    for width in (40, 30):
        x = linear(builder, x, width)
    program = builder.finish(rows_of(builder, x, 0, 2))
    steps = Engine(program, isa=isa).profile(random_images(program, 1, 0))
    operations = {step.kind: step.operations for step in steps}
    assert operations["linear"] == 2 * 2 * (30 * 40 + 40 * 30)
