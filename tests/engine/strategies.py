"""What tests of random programs draw from."""

from __future__ import annotations

from hypothesis import assume, settings
from hypothesis import strategies as st

from fullint.errors import FullintError

from .comparison import assert_engine_equals_interpreter
from .programs import RANGES, ProgramBuilder, Shape

seeds = st.integers(0, 2**32 - 1)
small_sizes = st.integers(1, 5)
depths = st.integers(1, 150)
types = st.sampled_from(sorted(RANGES))
small_types = st.sampled_from(["uint8", "int8", "int16"])
bytes_types = st.sampled_from(["uint8", "int8"])
examples = settings(max_examples=25)


def check(builder: ProgramBuilder, output: str) -> None:
    """Compare, unless the random program could overflow and is refused."""
    try:
        program = builder.finish(output)
    except FullintError as error:
        assume(not any(word in str(error) for word in ("beyond", "overflow", "could reach")))
        raise
    assert_engine_equals_interpreter(program)


def limits_of(kind: str) -> dict[str, int]:
    low, high = RANGES[kind]
    return {"low": low, "high": high}


def parameter_shape(builder: ProgramBuilder, shape: Shape, choice: str) -> Shape:
    if choice == "scalar":
        return ()
    if choice == "column":
        return (*[1] * (len(shape) - 1), shape[-1])
    return tuple(size if builder.random.random() < 0.5 else 1 for size in shape)
