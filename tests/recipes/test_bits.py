"""Recipes at other bit widths."""

from __future__ import annotations

import pytest

from fullint.errors import FullintError
from fullint.recipes import find_recipe, list_recipes


def test_weights_and_matrix_operands_take_the_new_widths_and_nothing_else_does() -> None:
    recipe = find_recipe("default").with_bits("w4a6")
    assert recipe.bits == {"weights": 4, "activations": 6, "attention": 8}
    before = find_recipe("default").activations
    changed = {role for role, config in recipe.activations.items() if config != before[role]}
    assert changed == {
        "normalized",
        "query_key_value",
        "attention_output",
        "activation",
        "pooled",
    }


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_at_its_own_widths_is_itself(name: str) -> None:
    recipe = find_recipe(name)
    assert recipe.with_bits("w8a8") == recipe


@pytest.mark.parametrize("bits", ["", "w8", "w2a8", "w8a9", "8/8/8", "w8a8 "])
def test_other_forms_are_refused(bits: str) -> None:
    with pytest.raises(FullintError, match="w8a8"):
        find_recipe("default").with_bits(bits)
