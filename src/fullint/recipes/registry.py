"""Where recipes register themselves."""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import pkgutil

from fullint.errors import FullintError
from fullint.recipes.schema import Recipe

_RECIPES: dict[str, Recipe] = {}
YAML_SUFFIXES = (".yaml", ".yml")
_NOT_RECIPES = {
    "choices",
    "common",
    "declaration",
    "operations",
    "registry",
    "schema",
    "steps",
    "yaml_errors",
    "yaml_file",
}


def register(recipe: Recipe) -> Recipe:
    """Make a recipe known under its name."""
    _RECIPES[recipe.name] = recipe
    return recipe


def list_recipes() -> dict[str, Recipe]:
    """All recipes by name, in alphabetical order."""
    import fullint.recipes as package

    for module in pkgutil.iter_modules(package.__path__):
        if module.name not in _NOT_RECIPES:
            importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_RECIPES.items()))


def find_recipe(name: str) -> Recipe:
    """The recipe called `name`, or the one that the YAML file `name` declares.

    Raises:
        FullintError: unknown (with near names), or a file that is wrong (with its line).
    """
    if name.lower().endswith(YAML_SUFFIXES):
        from fullint.recipes.yaml_file import read_recipe

        return read_recipe(name)
    recipes = list_recipes()
    if name in recipes:
        return recipes[name]
    near = difflib.get_close_matches(name, recipes, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(recipes)}"
    raise FullintError(f"unknown recipe '{name}'; {hint} ('fullint recipes' lists them)")


def match_recipes(pattern: str) -> list[Recipe]:
    """All recipes whose names match a pattern with wildcards; without any, as `find_recipe`."""
    known = list_recipes()
    matching = [recipe for name, recipe in known.items() if fnmatch.fnmatchcase(name, pattern)]
    return matching or [find_recipe(pattern)]
