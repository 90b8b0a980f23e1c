"""What is wrong with a declaration, in one sentence: line, field, and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, get_args

import yaml
from pydantic_core import ErrorDetails

from fullint.recipes.declaration import Declaration
from fullint.recipes.operations import GeluOperation, LayerNormOperation, SoftmaxOperation
from fullint.recipes.schema import QuantizerConfig, Recipe, UniformConfig
from fullint.recipes.steps import CorrectionConfig, SearchConfig, TransformConfig

_SHOWN_CHARACTERS = 60
# Fields whose entries say by their `type` what they are; the others by where they are.
_TYPED = {
    "activations": QuantizerConfig,
    "transforms": TransformConfig,
    "corrections": CorrectionConfig,
    "softmax": SoftmaxOperation,
    "layer_norm": LayerNormOperation,
    "gelu": GeluOperation,
}
_UNTYPED: dict[str, type[Declaration]] = {"weights": UniformConfig, "search": SearchConfig}


def problem(errors: Sequence[ErrorDetails], root: yaml.MappingNode) -> tuple[int, str]:
    """Line, from 1, and sentence of the first of pydantic's errors about a YAML document."""
    first = errors[0]
    line, names = _place(root, first["loc"])
    missing = first["type"] == "missing"
    field = ".".join(map(str, [*names, first["loc"][-1]] if missing else names))
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return line, f"{field + ': ' if field else ''}{_sentence(first)}{more}"


def _place(root: yaml.Node, location: Sequence[int | str]) -> tuple[int, list[int | str]]:
    """Line of what the location leads to, and those of its parts that the document has."""
    node, line, names = root, root.start_mark.line, []
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = [(item, item) for item in node.value[part : part + 1]]
        else:
            found = []
        if found:  # the rest are pydantic's names of alternatives
            [(key, node)] = found
            line = key.start_mark.line
            names.append(part)
    return line + 1, names


def _sentence(error: ErrorDetails) -> str:
    kind, location = error["type"], error["loc"]
    if kind == "extra_forbidden":
        return _unknown_field(str(location[-1]), _fields_beside(location))
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        types = ", ".join(_types(_TYPED[str(location[0])]))
        given = error["input"].get("type") if isinstance(error["input"], dict) else None
        told = "it has no type" if given is None else f"there is no type '{given}'"
        return f"{told}; there are {types}"
    message = error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if kind in ("missing", "value_error"):
        return message
    value = str(error["input"])[:_SHOWN_CHARACTERS]
    return f"'{value}' will not do, {message}"


def _unknown_field(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"there is no such field; {hint}there are {', '.join(known)}"


def _fields_beside(location: Sequence[int | str]) -> list[str]:
    """Names of the fields that the declaration at this place may have."""
    outer = str(location[0])
    if len(location) == 1:
        return ["base", *Recipe.model_fields]
    declaration = _UNTYPED.get(outer) or _types(_TYPED[outer])[str(location[-2])]
    return list(declaration.model_fields)


def _types(union: Any) -> dict[str, type[Declaration]]:
    """The alternatives of an annotated union by their `type`."""
    return {member.model_fields["type"].default: member for member in get_args(get_args(union)[0])}
