"""The cells of the grid, recipes by bit widths, and the file that each leaves."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fullint.errors import FullintError
from fullint.integer.output_directory import replace_file
from fullint.recipe_comparison.job import Settings
from fullint.recipes import Recipe, match_recipes, with_operations


@dataclass(frozen=True)
class Cell:
    """One recipe at one pair of bit widths, written "w4a8"."""

    recipe: Recipe
    bits: str

    def __str__(self) -> str:
        return f"{self.recipe.name} {self.bits}"

    @property
    def file_name(self) -> str:
        """Without suffix; for anything that belongs to the cell."""
        return re.sub(r"[^\w.-]+", "-", f"{self.recipe.name}-{self.bits}")


class Choices(NamedTuple):
    """Names of operations for all recipes, with commas between; None: each recipe's own."""

    softmax: str | None = None
    layer_norm: str | None = None
    gelu: str | None = None

    def combinations(self) -> list[tuple[str | None, ...]]:
        """Every softmax with every LayerNorm with every GELU."""
        names = [
            [None] if text is None else _parts(text, f"name of a {field.replace('_', '')}")
            for field, text in zip(self._fields, self, strict=True)
        ]
        return list(itertools.product(*names))


OWN = Choices()


def plan_cells(recipes: str, bits: str | None, choices: Choices = OWN) -> list[Cell]:
    """Every recipe with every combination of operations at every pair of bit widths.

    Args:
        recipes: names, patterns with wildcards and paths of YAML files, with commas between.
        bits: such as "w8a8,w4a4"; None: each recipe at its own.
        choices: operations; OWN: each recipe's.

    Raises:
        FullintError: a recipe or pattern that fits none, a file that is wrong, two recipes of one
            name, bits of another form, an unknown operation.
    """
    chosen: dict[str, Recipe] = {}
    for pattern in _parts(recipes, "recipe"):
        for recipe in match_recipes(pattern):
            if chosen.setdefault(recipe.name, recipe) != recipe:
                raise FullintError(
                    f"two recipes are called '{recipe.name}'; change the name in '{pattern}'"
                )
    varied = [
        with_operations(recipe, *names)
        for recipe in chosen.values()
        for names in choices.combinations()
    ]
    if bits is None:
        return [Cell(recipe, _own_bits(recipe)) for recipe in varied]
    widths = _parts(bits, "pair of bit widths")
    return [Cell(recipe.with_bits(pair), pair) for recipe in varied for pair in widths]


def _own_bits(recipe: Recipe) -> str:
    return f"w{recipe.bits['weights']}a{recipe.bits['activations']}"


def _parts(text: str, what: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise FullintError(f"{text!r} lacks a {what} beside a comma")
    return list(dict.fromkeys(parts))


@dataclass(frozen=True)
class CellFile:
    """What a finished cell left.

    Attributes:
        settings: all that decided the result.
        result: figures, see `run_cell`.
        made_by: machine and source code, which do not decide it, or should not.
    """

    settings: Settings
    result: dict[str, Any]
    made_by: dict[str, Any]

    def write(self, path: Path) -> None:
        """Replace the file in one step."""
        content = {"settings": self.settings, "result": self.result, "made_by": self.made_by}
        replace_file(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> CellFile | None:
        """None where there is no such file, or none that this wrote."""
        try:
            content = json.loads(path.read_bytes())
            parts = [content[name] for name in ("settings", "result", "made_by")]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return cls(*parts) if all(isinstance(part, dict) for part in parts) else None

    def changed(self, settings: Settings) -> Sequence[str]:
        """Which of the present settings are not those of the file."""
        present = json.loads(json.dumps(settings))
        return [name for name, value in present.items() if self.settings.get(name) != value]
