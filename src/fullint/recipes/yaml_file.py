"""Recipes written as YAML files: the fields of `Recipe`, checked one by one.

A file may name a recipe of fullint as its `base`. It then declares only what differs: a field takes
the place of the base's, `activations` role by role, where null leaves a role without grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from fullint.errors import FullintError
from fullint.recipes.registry import YAML_SUFFIXES, find_recipe
from fullint.recipes.schema import Recipe
from fullint.recipes.yaml_errors import problem

_MAXIMUM_BYTES = 1 << 20
_NOT_INHERITED = {
    "name",
    "summary",
    "paper",
    "notes",
}  # what is said of the base is said of it alone


def read_recipe(path: str | Path) -> Recipe:
    """The recipe that a YAML file declares.

    Raises:
        FullintError: the file cannot be read or is no such declaration; names the line, the field
            and what is allowed.
    """
    where = f"recipe file {str(path)!r}"
    root, fields = _parsed(_text(Path(path), where), where)
    try:
        return Recipe.model_validate(_with_base(fields, where))
    except ValidationError as error:
        line, sentence = problem(error.errors(), root)
        raise FullintError(f"{where}, line {line}: {sentence}") from None


def _text(path: Path, where: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAXIMUM_BYTES + 1)
    except OSError as error:
        raise FullintError(f"{where} cannot be read: {error.strerror}") from error
    if len(data) > _MAXIMUM_BYTES:
        raise FullintError(f"{where} is larger than {_MAXIMUM_BYTES >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FullintError(f"{where} is not UTF-8 text") from error


def _parsed(text: str, where: str) -> tuple[yaml.MappingNode, dict[Any, Any]]:
    """The document as nodes, which know their lines, and as plain values, never other objects."""
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if isinstance(root, yaml.MappingNode):
            for line, sentence in _unusable_keys(root, set()):
                raise FullintError(f"{where}, line {line}: {sentence}")
            return root, loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise FullintError(f"{where}{place}: it is not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # such as a date that is none
        reason = str(error).splitlines()[0]
        raise FullintError(f"{where} is not valid YAML: {reason}") from None
    raise FullintError(f"{where} holds no fields of a recipe; it needs at least a name")


def _unusable_keys(node: yaml.Node, seen: set[int]) -> Iterator[tuple[int, str]]:
    """Line and sentence of every key that is no text or occurs twice; of two, YAML would silently
    take the last.
    """
    if id(node) in seen:  # aliases may go in circles
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _unusable_keys(item, seen)
    if isinstance(node, yaml.MappingNode):
        names = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                yield line, "a name of a field must be text"
            elif key.value in names:
                yield line, f"'{key.value}' is there twice"
            else:
                names.add(key.value)
            yield from _unusable_keys(value, seen)


def _with_base(fields: dict[str, Any], where: str) -> dict[str, Any]:
    """The fields, completed by those of the base if there is one."""
    base = fields.pop("base", None)
    if base is None:
        return fields
    if not isinstance(base, str) or base.lower().endswith(YAML_SUFFIXES):
        raise FullintError(
            f"{where}: the base {base!r} is no name of a recipe that 'fullint recipes' lists"
        )
    try:
        inherited = find_recipe(base).model_dump(exclude=_NOT_INHERITED)
    except FullintError as error:
        raise FullintError(f"{where}: the base is an {error}") from None
    merged = inherited | fields
    own = fields.get("activations", {})
    if isinstance(own, dict):
        by_role = inherited["activations"] | own
        merged["activations"] = {role: grid for role, grid in by_role.items() if grid is not None}
    return merged
