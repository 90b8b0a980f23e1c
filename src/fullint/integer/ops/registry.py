"""Where integer operations register themselves."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fullint.errors import FullintError
from fullint.integer.types import TensorType

# Far above any use, and far enough below 2^63 that no int64 arithmetic of `compute` can wrap.
LARGEST_ATTRIBUTE = 2**40

OPERATIONS: dict[str, OperationDefinition] = {}


@dataclass(frozen=True)
class OperationDefinition:
    """An operation's name, type rule and arithmetic (see the package's docstring)."""

    name: str
    infer: Callable[..., TensorType]
    compute: Callable[..., np.ndarray]

    @functools.cached_property
    def parameters(self) -> list[inspect.Parameter]:
        """What `compute` takes."""
        return list(inspect.signature(self.compute).parameters.values())

    def check_signature(self, input_count: int, attributes: Mapping[str, object]) -> None:
        """Refuse a wrong number of inputs, and attributes missing, unknown, mistyped or huge."""
        parameters = self.parameters
        positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        if variadic and input_count == 0:
            raise FullintError("it takes at least one input")
        if not variadic and input_count != len(positional):
            raise FullintError(f"it takes {len(positional)} inputs, not {input_count}")
        expected = {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY}
        if set(expected) != set(attributes):
            raise FullintError(f"it takes attributes {sorted(expected)}, not {sorted(attributes)}")
        for name, annotation in expected.items():
            value = attributes[name]
            items = value if annotation != "int" and type(value) is tuple else (value,)
            fits = (type(value) is int) == (annotation == "int")
            if not fits or any(type(item) is not int for item in items):
                raise FullintError(f"attribute '{name}' must be {annotation}, not {value!r}")
            if any(abs(item) > LARGEST_ATTRIBUTE for item in items):
                raise FullintError(f"attribute '{name}' is {value!r}, beyond 2^40")


def register(
    name: str, *, infer: Callable[..., TensorType], compute: Callable[..., np.ndarray]
) -> None:
    """Make an operation known under `name`."""
    OPERATIONS[name] = OperationDefinition(name, infer, compute)


def find_operation(name: str) -> OperationDefinition:
    """The operation called `name`; FullintError if there is none."""
    if name not in OPERATIONS:
        raise FullintError(
            f"unknown integer operation '{name}'; there are {', '.join(sorted(OPERATIONS))}"
        )
    return OPERATIONS[name]
