"""Recipes as declarations."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from fullint.errors import FullintError
from fullint.quantization.observers import OBSERVERS
from fullint.recipes import Recipe, find_recipe, list_recipes
from fullint.recipes.declaration import Declaration
from fullint.recipes.schema import (
    AdaLogConfig,
    QuantizerConfig,
    Role,
    SharedConfig,
    TwinConfig,
    UniformConfig,
)

FQ_VIT = [
    f"fq-vit{bits}{observer}"
    for bits in ("", "-888")
    for observer in ("", "-ema", "-percentile", "-omse")
]
HEADS = UniformConfig(symmetric=True, strategy="head")
OPERANDS = UniformConfig(symmetric=True, strategy="operand")


def declaration(**changes: object) -> dict:
    return find_recipe("default").model_dump() | changes


def test_the_recipes_of_the_readme_are_there() -> None:
    assert set(list_recipes()) >= {"default", *FQ_VIT}
    assert list(list_recipes()) == sorted(list_recipes())


@pytest.mark.parametrize("name", list_recipes())
def test_recipes_survive_json_and_have_known_parts(name: str) -> None:
    recipe = find_recipe(name)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert recipe.name == name and recipe.summary
    for config in recipe.activations.values():
        if isinstance(config, UniformConfig):
            assert config.observer in OBSERVERS


@pytest.mark.parametrize("name", FQ_VIT)
def test_bits_of_the_published_method(name: str) -> None:
    attention = 8 if "888" in name else 4
    assert find_recipe(name).bits == {"weights": 8, "activations": 8, "attention": attention}
    assert find_recipe(name).paper == "https://arxiv.org/abs/2111.13824"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("fqvit", "did you mean fq-vit"), ("defualt", "did you mean default"), ("zzz", "known are")],
)
def test_unknown_names_get_a_hint(name: str, hint: str) -> None:
    with pytest.raises(FullintError, match=f"unknown recipe '{name}'; {hint}"):
        find_recipe(name)


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonsense": 1},
        {"requantization": "slow"},
        {"activations": {"normalised": UniformConfig()}},
        {"weights": UniformConfig(symmetric=True, strategy="head")},
        {"weights": UniformConfig(symmetric=True, strategy="power_of_two_factor")},
        {"activations": {}},
        {"activations": find_recipe("default").activations | {"normalized": SharedConfig()}},
        {
            "activations": find_recipe("default").activations
            | {"activation": UniformConfig(symmetric=True, strategy="channel")}
        },
    ],
)
def test_wrong_declarations_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(declaration(**wrong))


@pytest.mark.parametrize("role", get_args(Role))
@pytest.mark.parametrize("config", get_args(get_args(QuantizerConfig)[0]))
def test_grids_that_need_a_softmax_or_a_table_have_no_other_roles(
    role: Role, config: type[Declaration]
) -> None:
    if config is SharedConfig:
        fits = role not in ("normalized", "attention_map")
    elif role == "activation":
        fits = config in (UniformConfig, AdaLogConfig, TwinConfig)
    else:
        fits = config is UniformConfig or role == "attention_map"
    activations = find_recipe("default").activations | {role: config()}
    if fits:
        Recipe.model_validate(declaration(activations=activations))
    else:
        with pytest.raises(ValidationError, match=f"'{role}' (cannot have|needs) a grid of"):
            Recipe.model_validate(declaration(activations=activations))


@pytest.mark.parametrize(
    ("role", "config", "sentence"),
    [
        ("activation", AdaLogConfig(strategy="head"), "which is for 'attention_map' only"),
        ("pooled", AdaLogConfig(), "which is for 'attention_map' and 'activation' only"),
        ("normalized", HEADS, "which is for uniform grids of 'query_key_value' only"),
        ("attention_map", HEADS, "which is for uniform grids of 'query_key_value' only"),
        ("pooled", OPERANDS, "which is for uniform grids of 'query_key_value' only"),
    ],
)
def test_what_is_for_other_roles_is_refused_in_a_sentence(
    role: Role, config: Declaration, sentence: str
) -> None:
    activations = find_recipe("default").activations | {role: config}
    with pytest.raises(ValidationError, match=sentence):
        Recipe.model_validate(declaration(activations=activations))


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_bits": 1},
        {"num_bits": 17},
        {"headroom": 0.5},
        {"strategy": "row"},
        {"strategy": "head", "symmetric": False},
        {"strategy": "block"},
    ],
)
def test_wrong_grids_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        UniformConfig.model_validate(wrong)


def test_declarations_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        find_recipe("default").name = "other"  # type: ignore[misc]
