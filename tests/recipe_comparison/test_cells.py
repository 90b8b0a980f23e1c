"""Which cells a command asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from fullint.errors import FullintError
from fullint.recipe_comparison.cells import CellFile, Choices, plan_cells
from fullint.recipes import find_recipe, list_recipes, with_operations


def names(recipes: str, bits: str | None = None) -> list[str]:
    return [str(cell) for cell in plan_cells(recipes, bits)]


def test_recipes_times_bits_in_the_order_given() -> None:
    assert names("fq-vit, default", "w8a8,w4a8") == [
        "fq-vit w8a8",
        "fq-vit w4a8",
        "default w8a8",
        "default w4a8",
    ]


def test_without_bits_each_recipe_has_its_own() -> None:
    [cell] = plan_cells("fq-vit", None)
    assert (cell.bits, cell.recipe) == ("w8a8", find_recipe("fq-vit"))


def test_bits_change_the_recipe() -> None:
    [cell] = plan_cells("default", "w4a6")
    assert cell.recipe == find_recipe("default").with_bits("w4a6")


def test_every_recipe_takes_every_combination_of_operations() -> None:
    choices = Choices(softmax="exact, e2softmax", gelu="shiftgelu")
    cells = plan_cells("fq-vit-888,sole", "w8a8", choices)
    assert [str(cell) for cell in cells] == [
        "fq-vit-888+exact+shiftgelu w8a8",
        "fq-vit-888+e2softmax+shiftgelu w8a8",
        "sole+exact+shiftgelu w8a8",
        "sole+e2softmax+shiftgelu w8a8",
    ]
    assert cells[3].recipe == with_operations(find_recipe("sole"), "e2softmax", None, "shiftgelu")
    for wrong, sentence in (("exact,", "lacks a name of a softmax"), ("exakt", "unknown softmax")):
        with pytest.raises(FullintError, match=sentence):
            plan_cells("sole", None, Choices(softmax=wrong))


def test_patterns_and_repeated_names() -> None:
    expected = [f"{name} w8a8" for name in list_recipes() if name.startswith("fq-vit-888")]
    assert len(expected) > 2
    assert names("fq-vit-888,fq-vit-888*", "w8a8,w8a8") == expected


def test_a_file_beside_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: default\nname: my own/first\nsummary: mine\n")
    cells = plan_cells(f"default,{path}", "w6a6")
    assert [str(cell) for cell in cells] == ["default w6a6", "my own/first w6a6"]
    assert cells[1].file_name == "my-own-first-w6a6"


@pytest.mark.parametrize(
    ("recipes", "bits", "sentence"),
    [
        ("default,fqvit", None, "unknown recipe 'fqvit'; did you mean fq-vit"),
        ("default,nothing*", None, "unknown recipe 'nothing\\*'"),
        ("default,", None, "lacks a recipe beside a comma"),
        ("default", "w8a8,,w4a4", "lacks a pair of bit widths beside a comma"),
        ("default", "w8a8,8/8", "'8/8' are not of the form w8a8"),
        ("default,no.yaml", None, "recipe file 'no.yaml' cannot be read"),
    ],
)
def test_what_cannot_be_is_refused(recipes: str, bits: str | None, sentence: str) -> None:
    with pytest.raises(FullintError, match=sentence):
        plan_cells(recipes, bits)


def test_two_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: default\nname: fq-vit\nsummary: not FQ-ViT\n")
    with pytest.raises(FullintError, match="two recipes are called 'fq-vit'"):
        plan_cells(f"fq-vit,{path}", None)


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{",
        "[]",
        '{"settings": {}}',
        '{"settings": [], "result": {}, "made_by": {}}',
    ],
)
def test_a_file_that_is_none_is_no_result(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "cell.json").write_text(content)
    assert CellFile.read(tmp_path / "cell.json") is None
