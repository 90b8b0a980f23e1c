"""Recipes as YAML files: what they may leave out, and what is said about a wrong one."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path

import pytest

from fullint.errors import FullintError
from fullint.recipes import find_recipe, list_recipes, match_recipes

yaml = pytest.importorskip("yaml", reason="needs the extra 'quantize'")

MINE = "base: default\nname: mine\nsummary: my own\n"


def written(tmp_path: Path, text: str, name: str = "mine.yaml") -> str:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return str(tmp_path / name)


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_can_be_written_as_a_file(tmp_path: Path, name: str) -> None:
    recipe = find_recipe(name)
    path = written(tmp_path, yaml.safe_dump(recipe.model_dump(mode="json")), "whole.YML")
    assert find_recipe(path) == recipe
    assert match_recipes(path) == [recipe]


def test_a_base_gives_what_the_file_leaves_out(tmp_path: Path) -> None:
    text = MINE + "activations:\n  pooled: {type: uniform, num_bits: 5}\n  activation_input: null\n"
    recipe, base = find_recipe(written(tmp_path, text)), find_recipe("default")
    assert (recipe.name, recipe.summary, recipe.notes) == ("mine", "my own", "")
    assert (recipe.weights, recipe.transforms) == (base.weights, base.transforms)
    assert recipe.activations["pooled"].num_bits == 5  # type: ignore[union-attr]
    assert set(base.activations) - set(recipe.activations) == {"activation_input"}
    others = set(recipe.activations) - {"pooled"}
    assert all(recipe.activations[role] == base.activations[role] for role in others)


def test_a_file_s_field_takes_the_place_of_the_base_s(tmp_path: Path) -> None:
    text = MINE + "transforms: []\nweights: {symmetric: true, num_bits: 4}\n"
    recipe = find_recipe(written(tmp_path, text))
    assert recipe.transforms == ()
    assert (recipe.weights.strategy, recipe.weights.num_bits) == ("tensor", 4)


def test_the_readme_s_example(tmp_path: Path) -> None:
    readme = Path(__file__).parents[2] / "README.md"
    [text] = re.findall(r"```yaml\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    recipe = find_recipe(written(tmp_path, textwrap.dedent(text)))
    changed = recipe.activations.items() - find_recipe("default").activations.items()
    assert [role for role, _ in changed] == ["attention_output"]


def test_an_anchor_saves_repetition(tmp_path: Path) -> None:
    text = (
        MINE + "activations:\n"
        "  normalized: &grid {type: uniform, num_bits: 6}\n"
        "  pooled: {<<: *grid, num_bits: 7}\n"
        "  activation: *grid\n"
    )
    activations = find_recipe(written(tmp_path, text)).activations
    bits = [activations[role].num_bits for role in ("normalized", "pooled", "activation")]  # type: ignore
    assert bits == [6, 7, 6]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no fields of a recipe"),
        ("- a\n", "holds no fields of a recipe"),
        ("name: [x\n", "line 2: it is not valid YAML: expected"),
        ("name: \x01\n", "is not valid YAML: unacceptable character"),
        ("name: 2026-13-45\n", "is not valid YAML: month must be in"),
        ("name: x\nname: y\n", "line 2: 'name' is there twice"),
        ("name: x\nweights:\n  ? [a]\n  : 1\n", "line 3: a name of a field must be text"),
        ("name: x\n", "line 1: summary: field required"),
        (MINE + "transform: []\n", "line 4: transform: there is no such field; "
         "did you mean 'transforms'? there are base, name"),
        (MINE + "weights: {symmetric: true,\n  bits: 3}\n",
         "line 5: weights.bits: there is no such field; did you mean 'num_bits'?"),
        (MINE + "weights: {symmetric: true, num_bits: 33}\n",
         "line 4: weights.num_bits: '33' will not do, input should be less than or equal to 16"),
        (MINE + "requantization: slow\n",
         "line 4: requantization: 'slow' will not do, input should be 'fast' or 'exact'"),
        (MINE + "activations:\n  normalised: {type: uniform}\n",
         "line 5: activations.normalised: 'normalised' will not do, input should be 'normalized'"),
        (MINE + "activations:\n  pooled: {num_bits: 8}\n",
         "line 5: activations.pooled: it has no type; there are uniform, log2"),
        (MINE + "activations:\n  pooled: {type: unifrom}\n",
         "line 5: activations.pooled: there is no type 'unifrom'; there are uniform, log2"),
        (MINE + "activations:\n  pooled:\n    type: uniform\n    bits: 8\n",
         "line 7: activations.pooled.bits: there is no such field; did you mean 'num_bits'?"),
        (MINE + "activations:\n  activation: {type: uniform, strategy: token}\n",
         "strategy 'token' has no integer program: a layer that reads it would need"),
        (MINE + "activations:\n  residual: {type: uniform, strategy: token}\n",
         "'residual' cannot have strategy 'token', which is for 'normalized', 'attention_output'"),
        (MINE + "activations:\n  normalized: {type: uniform, strategy: token}\nsearch: [{}]\n"
         "simulation_only: scales a token\n", "strategy 'token' cannot be searched"),
        (MINE + "transforms:\n  - type: scale_reparameterization\n    groups: 0\n",
         "line 6: transforms.0.groups: '0' will not do"),
        (MINE + "activations: 3\n", "line 4: activations: '3' will not do"),
        (MINE + "activations:\n  attention_map: null\n", "'attention_map' needs a grid of its own"),
        (MINE + "transforms:\n  - type: smooth_quant\n    balence: 0.3\n",
         "line 6: transforms.0.balence: there is no such field; did you mean 'balance'?"),
        ("base: defualt\nname: x\n", "the base is an unknown recipe 'defualt'; did you mean"),
        ("base: other.yaml\nname: x\n", "the base 'other.yaml' is no name of a recipe"),
        ("base: &loop [*loop]\nname: x\n", "the base [[...]] is no name of a recipe"),
        ("name: !!python/object/apply:os.abort []\n", "line 1: it is not valid YAML: could not "
         "determine a constructor"),
        ("name: x\nsummary: &a {b: *a}\nweights: 1\n", "line 2: summary: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(FullintError) as caught:
        find_recipe(path)
    assert str(caught.value).startswith(f"recipe file '{path}'")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FullintError, match=r"recipe file 'none.yaml' cannot be read"):
        find_recipe("none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FullintError, match="is not UTF-8 text"):
        find_recipe(os.fspath(tmp_path / "binary.yaml"))
    (tmp_path / "large.yaml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(FullintError, match="is larger than 1 MiB"):
        find_recipe(os.fspath(tmp_path / "large.yaml"))
