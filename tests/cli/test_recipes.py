"""`fullint recipes`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra 'quantize'")

import fullint


def names(out: str) -> set[str]:
    return {line.split()[0] for line in out.splitlines() if line.strip()}


def test_lists_all_recipes(run: Callable) -> None:
    outcome = run("recipes")
    assert outcome.code == 0
    assert set(fullint.list_recipes()) <= names(outcome.out)
    assert "8/8/4" in outcome.out


def test_says_which_run_in_integers(run: Callable, tmp_path: Path) -> None:
    rows = [line.split() for line in run("recipes").out.splitlines()]
    lines = {row[0]: row for row in rows if row}
    for name, recipe in fullint.list_recipes().items():
        assert lines[name][2] == ("simulation" if recipe.simulation_only else "integers")
    path = tmp_path / "mine.yaml"
    path.write_text("base: default\nname: mine\nsummary: x\nsimulation_only: it is too wide\n")
    path.write_text(path.read_text() + "search: [{metric: cosine, rounds: 2}]\n")
    out = run("recipes", path).out
    assert "metric=cosine candidates=linear rounds=2" in out
    assert ["simulation_only", "it", "is", "too", "wide"] in map(str.split, out.splitlines())


def test_wildcards_choose(run: Callable) -> None:
    shown = names(run("recipes", "fq-vit-888*").out)
    known = set(fullint.list_recipes())
    assert shown & known == {name for name in known if name.startswith("fq-vit-888")}


def test_shows_a_declaration_and_its_notes(run: Callable) -> None:
    for name, recipe in fullint.list_recipes().items():
        out = run("recipes", name).out
        assert recipe.summary in out
        assert recipe.notes.strip() in out
        assert {"weights", *recipe.activations} <= names(out)
    assert "uniform num_bits=8 symmetric=True strategy=channel" in run("recipes", "fq-vit").out


@pytest.mark.parametrize("name", ["defualt", "nothing-*"])
def test_refuses_an_unknown_name(run: Callable, name: str) -> None:
    outcome = run("recipes", name)
    assert (outcome.code, outcome.out) == (1, "")
    assert f"error: unknown recipe '{name}'" in outcome.err
