"""Recipes: published methods and our own, one short file each: composition, no algorithm."""

from fullint.recipes.choices import with_operations
from fullint.recipes.registry import find_recipe, list_recipes, match_recipes, register
from fullint.recipes.schema import Recipe

__all__ = ["Recipe", "find_recipe", "list_recipes", "match_recipes", "register", "with_operations"]
