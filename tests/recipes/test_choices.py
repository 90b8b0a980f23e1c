"""Softmax, LayerNorm and GELU by name, and which grids they can have."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from fullint.errors import FullintError
from fullint.recipes import find_recipe, list_recipes, with_operations
from fullint.recipes.choices import GELUS, LAYER_NORMS, SOFTMAXES, operation_names
from fullint.recipes.yaml_file import read_recipe

from ..small_models import changed, with_roles


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_takes_every_operation(name: str) -> None:
    for chosen in itertools.zip_longest(SOFTMAXES, LAYER_NORMS, GELUS, fillvalue="exact"):
        softmax, layer_norm, gelu = chosen[0], chosen[1], chosen[2].replace("exact", "table")
        recipe = with_operations(find_recipe(name), softmax, layer_norm, gelu)
        assert recipe.name == f"{name}+{softmax}+{layer_norm}+{gelu}"
        assert recipe.softmax.type == softmax.replace("log-int", "exact")
        assert (recipe.layer_norm.type, recipe.gelu.type) == (layer_norm, gelu)
        named = operation_names(recipe)
        if softmax == "exact":  # the exact softmax on log2 codes is log-int-softmax
            assert named.pop("softmax") in ("exact", "log-int")
        assert set(named.values()) <= {softmax, layer_norm, gelu}


@pytest.mark.parametrize("name", list_recipes())
def test_no_choice_changes_nothing(name: str) -> None:
    assert with_operations(find_recipe(name)) == find_recipe(name)


def grids_that_change(name: str, *chosen: str | None) -> dict[str, str]:
    """Roles whose grids the operations replace, with what they become."""
    before, after = find_recipe(name), with_operations(find_recipe(name), *chosen)
    return {
        role: f"{config.type} {getattr(config, 'num_bits', '')}"
        for role, config in after.activations.items()
        if config != before.activations[role]
    }


def test_only_grids_that_do_not_fit_are_replaced() -> None:
    assert grids_that_change("default", "shiftmax") == {"attention_map": "unit 8"}
    assert grids_that_change("default", "exact", "exact", "shiftgelu") == {}
    assert grids_that_change("default", "log-int") == {"attention_map": "log2 4"}
    assert grids_that_change("default", None, "i-layernorm") == {}
    assert grids_that_change("default", None, "ailayernorm") == {
        "residual": "uniform 8",
        "residual_branch": "uniform 16",
    }
    assert grids_that_change("fq-vit", "e2softmax", "ailayernorm", "ibert") == {}
    assert grids_that_change("fq-vit", "itamax") == {"attention_map": "unit 8"}
    assert grids_that_change("i-vit", "shiftmax") == {}
    assert grids_that_change("i-vit", "e2softmax") == {"attention_map": "unit 8"}
    assert grids_that_change("ptq4vit", None, None, "shiftgelu") == {"activation": "uniform 8"}


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        (("e2softmx", None, None), "unknown softmax 'e2softmx'; did you mean 'e2softmax'"),
        ((None, "layernorm", None), "unknown layernorm 'layernorm'.*i-layernorm"),
        ((None, None, "erf"), "unknown gelu 'erf'; there are table, shiftgelu, ibert"),
    ],
)
def test_unknown_names_are_refused(chosen: tuple[str | None, ...], sentence: str) -> None:
    with pytest.raises(FullintError, match=sentence):
        with_operations(find_recipe("default"), *chosen)


@pytest.mark.parametrize(
    ("base", "updates", "sentence"),
    [
        ("default", {"softmax": {"type": "shiftmax"}}, "gives type 'unit'; 'attention_map' is"),
        ("default", {"softmax": {"type": "e2softmax"}}, "gives type 'unit' or 'log2'"),
        ("fq-vit", {"softmax": {"type": "itamax"}}, "'attention_map' is 'log2'"),
        ("i-vit", {"softmax": {"type": "itamax"}}, "gives 8 bits, 'attention_map' has 15"),
        ("default", {"layer_norm": {"type": "ailayernorm"}}, "give 'residual' a uniform grid"),
        ("ptq4vit", {"gelu": {"type": "shiftgelu"}}, "'activation' has others"),
        ("sole", {"softmax": {"type": "e2softmax", "fraction_bits": 6}}, "less than or equal to 5"),
    ],
)
def test_grids_that_do_not_fit_are_refused(base: str, updates: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        changed(base, **updates)


def test_a_wide_layer_norm_output_is_refused() -> None:
    wide = find_recipe("sole").activations["normalized"].model_copy(update={"num_bits": 9})
    with pytest.raises(ValueError, match="give 'normalized' a uniform grid"):
        with_roles("sole", normalized=wide)


def recipe_file(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "mine.yaml"
    path.write_text(f"base: sole\nname: mine\nsummary: other numbers\n{text}")
    return read_recipe(path)


def test_a_file_can_set_their_numbers(tmp_path: Path) -> None:
    recipe = recipe_file(tmp_path, "softmax: {type: e2softmax, group: 1, natural: true}\n")
    assert (recipe.softmax.group, recipe.softmax.natural) == (1, True)
    assert recipe.layer_norm == find_recipe("sole").layer_norm


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("softmax: {type: softermax}\n", "line 4: softmax: there is no type 'softermax'"),
        ("gelu: {type: shiftgelu, slop: 2}\n", "line 4: gelu.slop:.*did you mean 'slope'"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(FullintError, match=sentence):
        recipe_file(tmp_path, text)
