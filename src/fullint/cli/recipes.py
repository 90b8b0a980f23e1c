"""`fullint recipes`: the recipes there are, and what each declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fullint.cli.console import print_facts, print_table
from fullint.cli.extra import quantize_extra

if TYPE_CHECKING:
    from fullint.recipes import Recipe
    from fullint.recipes.declaration import Declaration

_WILDCARDS = "*?["


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A recipe, a pattern with wildcards, or a YAML file.", show_default=False
        ),
    ] = None,
) -> None:
    """List the recipes, or show all that one of them declares.

    A recipe runs in integers, or it is a simulation in float and says why. One of your own is a
    YAML file: its name, its summary, a recipe as its base, and the fields that differ.

    \b
    Examples:
      fullint recipes
      fullint recipes 'fq-vit-888*'
      fullint recipes default
    """
    with quantize_extra():
        from fullint.recipes import find_recipe, match_recipes

        if name is not None and not any(character in name for character in _WILDCARDS):
            _show(find_recipe(name))
            return
        chosen = match_recipes(name or "*")
    print_table(
        ("recipe", "bits", "runs in", "summary"),
        [
            (
                recipe.name,
                "/".join(map(str, recipe.bits.values())),
                "simulation" if recipe.simulation_only else "integers",
                recipe.summary,
            )
            for recipe in chosen
        ],
    )
    typer.echo("bits of weights/activations/attention map; 'fullint recipes NAME' shows the rest")


def _show(recipe: Recipe) -> None:
    facts: list[tuple[str, object]] = [("recipe", recipe.name)]
    for name, value in recipe:
        if name == "weights":
            facts.append((name, _declared(recipe.weights)))
        elif name == "activations":
            facts += [(role, _declared(config)) for role, config in recipe.activations.items()]
        elif name not in ("name", "notes"):
            facts.append((name, _shown(value)))
    print_facts((name, value if value not in ("", None) else "none") for name, value in facts)
    if recipe.notes:
        typer.echo(f"\n{recipe.notes.strip()}")


def _shown(value: object) -> object:
    from fullint.recipes.declaration import Declaration

    if isinstance(value, tuple):
        return "; ".join(map(_declared, value))
    return _declared(value) if isinstance(value, Declaration) else value


def _declared(config: Declaration) -> str:
    """Every field, by the name that a declaration in Python uses."""
    values = config.model_dump(mode="json")
    kind = [values.pop("type")] if "type" in values else []
    return " ".join([*kind, *(f"{name}={value}" for name, value in values.items())])
