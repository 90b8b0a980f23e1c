"""Programs that the fused patterns almost fit, or fit at the edge of int32."""

from __future__ import annotations

import numpy as np
import pytest

from fullint.engine import supported_isas

from .comparison import assert_engine_equals_interpreter
from .programs import ProgramBuilder

TOKENS, WIDTH = 16, 8
WORD_GRID = {"zero_point": 0, "low": -(2**15), "high": 2**15 - 1}
every_isa = pytest.mark.parametrize("isa", supported_isas())


def add_linear(builder: ProgramBuilder, x: str) -> str:
    """A linear layer (1, TOKENS, WIDTH) and its requantization."""
    shape = (1, TOKENS, WIDTH)
    weight = builder.constant(builder.integers(-128, 127, (WIDTH, builder.shapes[x][-1])))
    bias = builder.constant(builder.integers(-99, 99, (WIDTH,)))
    accumulators = builder.add("linear", [x, weight, bias], shape)
    factors = builder.factors((WIDTH,), 2**18, 2**14)
    return builder.add(
        "requantize", [accumulators, *factors], shape, intermediate_bits=16, **WORD_GRID
    )


def add_up(builder: ProgramBuilder, a: str, b: str) -> str:
    factors = [builder.constant(np.array([value])) for value in (3, 2, 1)]
    shape = (1, TOKENS, WIDTH)
    return builder.add("rescaled_add", [a, b, *factors], shape, zero_a=1, zero_b=2, **WORD_GRID)


@every_isa
def test_two_linear_layers_meet_in_an_addition(isa):
    builder = ProgramBuilder(0)
    x = builder.operand((1, TOKENS, 12), 0, 255)
    result = add_up(builder, add_linear(builder, x), add_linear(builder, x))
    assert_engine_equals_interpreter(builder.finish(result), isa=isa)


@every_isa
@pytest.mark.parametrize("shape", [(), (1,), (WIDTH,), (TOKENS, 1)])
@pytest.mark.parametrize("swaps", [False, True])
def test_linear_layer_plus_a_constant(isa, shape, swaps):
    builder = ProgramBuilder(1)
    x = add_linear(builder, builder.operand((1, TOKENS, 12), 0, 255))
    constant = builder.constant(builder.integers(-99, 99, shape))
    if swaps and shape != (WIDTH,):
        constant = builder.constant(builder.integers(-99, 99, (1, TOKENS, WIDTH)))
    result = add_up(builder, *((constant, x) if swaps else (x, constant)))
    assert_engine_equals_interpreter(builder.finish(result), isa=isa)


def add_attention(
    builder: ProgramBuilder,
    *,
    depth: int = 4,
    query: tuple[int, int] = (0, 255),
    key: tuple[int, int] = (0, 255),
    zeros: tuple[int, int, int] = (0, 0, 0),
    largest: int = 2**18,
    addend: np.ndarray | None = None,
) -> str:
    """Attention of one head; a key's `depth` entries are all the same."""
    shape = (1, TOKENS, TOKENS)
    q = builder.operand((1, TOKENS, depth), *query)
    k = builder.operand((1, 1, TOKENS), *key)
    k = builder.add("concat", [k] * depth, (1, depth, TOKENS), dim=1)
    v = builder.operand((1, TOKENS, WIDTH), 0, 255)
    scores = builder.add("matmul", [q, k], shape, zero_a=zeros[0], zero_b=zeros[1])
    if addend is not None:
        scores = builder.add("add", [scores, builder.constant(addend)], shape)
    p = builder.add("softmax", [scores, *builder.factors((1, 1, 1), largest, 9000)], shape)
    return builder.add("matmul", [p, v], (1, TOKENS, WIDTH), zero_a=0, zero_b=zeros[2])


@every_isa
@pytest.mark.parametrize("zero", [-70_000, -33_000, -32_000, 32_000, 32_700, 33_000, 70_000])
@pytest.mark.parametrize("operand", range(3))
def test_zero_points_far_from_the_codes(isa, zero, operand):
    builder = ProgramBuilder(2)
    zeros = tuple(zero if index == operand else 7 for index in range(3))
    result = add_attention(builder, zeros=zeros)
    assert_engine_equals_interpreter(builder.finish(result), isa=isa)


@every_isa
@pytest.mark.parametrize("key", [(0, 15), (-8, 7), (100, 127)])
@pytest.mark.parametrize("zero_key", [0, 113])
@pytest.mark.parametrize("masks_all", [False, True])
def test_masks_at_the_lowest_score(isa, key, zero_key, masks_all):
    """The mask leaves just the room that the scores themselves need."""
    builder = ProgramBuilder(3)
    largest = 4 * 255 * max(abs(limit - zero_key) for limit in key)
    mask = np.zeros((1, TOKENS, TOKENS), np.int64)
    mask[..., :: 1 if masks_all else 2] = -(2**31) + (1 if masks_all else 4) * largest
    result = add_attention(builder, key=key, zeros=(0, zero_key, 0), addend=mask)
    assert_engine_equals_interpreter(builder.finish(result), isa=isa)


@every_isa
@pytest.mark.parametrize("zero_key", [-26_800, -26_700])
def test_scores_that_only_their_row_term_keeps_in_int32(isa, zero_key):
    """What all scores of a row share is left out of a softmax only where no score then wraps.

    200 * 400 * 26_844 is 2^31: either zero point is near it, with keys as uint8 or less 128.
    """
    builder = ProgramBuilder(4)
    result = add_attention(
        builder, depth=200, query=(250, 255), zeros=(400, zero_key, 0), largest=2**23
    )
    assert_engine_equals_interpreter(builder.finish(result), isa=isa)


@every_isa
def test_a_long_chain_of_views(isa):
    """Planning takes memory in proportion to the program, and no deep recursion."""
    builder = ProgramBuilder(5)
    x = add_linear(builder, builder.operand((1, TOKENS, 12), 0, 255))
    for index in range(6000):
        x = builder.reshape(x, (1, WIDTH, TOKENS) if index % 2 else (1, TOKENS * WIDTH))
    assert_engine_equals_interpreter(builder.finish(x), isa=isa)
