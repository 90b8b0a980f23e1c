"""Where the rewrites register: one function an ATen operator (or a family of operators with one
signature).

A rewrite takes the builder and then the operator's own arguments, those that depend on the image as
nodes of the new graph, all others as the tensors and numbers they are. It returns the result: a
node, or a list of them. Two rewrites beside each other need not know of one another; to capture a
new operator is to add one function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rewrite = Callable[..., Any]

_REWRITES: dict[str, Rewrite] = {}


def rewrites(*operators: str) -> Callable[[Rewrite], Rewrite]:
    """Decorator: the function rewrites the ATen operators named, such as "aten.linear.default"."""

    def register(function: Rewrite) -> Rewrite:
        for operator in operators:
            if operator in _REWRITES:
                raise ValueError(
                    f"{operator} has two rewrites: "
                    f"{_REWRITES[operator].__name__} and {function.__name__}"
                )
            _REWRITES[operator] = function
        return function

    return register


def find_rewrite(operator: str) -> Rewrite | None:
    """The rewrite of an operator, or None."""
    return _REWRITES.get(operator)
