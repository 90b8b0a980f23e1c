"""`fullint compare`, with real processes on a small model, and what it refuses without any."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra 'quantize'")

import fullint

SIMULATED = """\
base: default
name: simulated
summary: the default, as if it had no integer program
simulation_only: its grids are as wide as they are long
"""
FAILING = """\
base: default
name: failing
summary: with an observer that there is none of
weights: {symmetric: true, strategy: channel, observer: nonsense}
"""


@pytest.fixture
def command(model_options: list[str], images: Path, tmp_path: Path) -> list[str]:
    """All arguments but the recipes."""
    (tmp_path / "classes.txt").write_text("c0\nc1\nc2\n")
    (tmp_path / "simulated.yaml").write_text(SIMULATED)
    (tmp_path / "failing.yaml").write_text(FAILING)
    folders = ["--data-dir", str(images), "--val-dir", str(images), "--limit", "10"]
    names = ["--class-map", str(tmp_path / "classes.txt"), "-o", str(tmp_path / "results")]
    return ["compare", *model_options, *folders, *names, "--images", "8"]


def result_rows(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "results" / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_integers_simulation_and_a_failure(
    run: Callable, command: list[str], images: Path, checkpoint: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    recipes = f"default,{tmp_path / 'failing.yaml'},{tmp_path / 'simulated.yaml'}"
    outcome = run(*command, "--recipes", recipes, "--bits", "w8a6", "--keep-models")
    assert outcome.code == 1
    assert "error: 1 of 3 cells could not be measured" in outcome.err
    assert "[2/3] failing w8a6: failed: " in outcome.err
    assert "nonsense" in outcome.err
    default, failing, simulated = result_rows(tmp_path)
    assert [row["runs_in"] for row in (default, simulated)] == ["integers", "simulation"]
    assert "nonsense" in failing["error"]
    assert (default["images"], default["data"]) == ("10", "images")
    assert float(default["agreement"]) >= 70
    # The program does what its simulation does, and both are near the float model.
    difference = abs(float(default["logit_sqnr_db"]) - float(simulated["logit_sqnr_db"]))
    assert difference < 3 and float(default["logit_sqnr_db"]) > 5
    assert 50 < float(default["peak_memory_mb"]) < 4000
    assert (float(default["model_size_mb"]) > 0.1, simulated["model_size_mb"]) == (True, "")
    results = tmp_path / "results"
    names = ["accuracy.png", "accuracy.svg", "cells", "float", "models"]
    assert sorted(os.listdir(results)) == [*names, "results.csv", "results.md"]
    assert os.listdir(results / "models") == ["default-w8a6"]
    assert str(tmp_path) not in (results / "results.md").read_text().split("## Not measured")[0]

    saved = results / "models" / "default-w8a6"
    assert fullint.load(saved).metadata.provenance.bits["activations"] == 6
    reference = ["--reference", "test_vit", "--checkpoint", checkpoint]
    evaluated = run("evaluate", saved, "--data-dir", images, "--limit", 10, *reference,
                    "--class-map", tmp_path / "classes.txt")  # fmt: skip
    assert f"agreement {float(default['agreement']):.2f} " in evaluated.out
    assert f"integer Acc@1 {float(default['top1']):.2f} " in evaluated.out

    again = run(*command, "--recipes", recipes.replace("failing", "simulated"), "--bits", "w8a6")
    assert again.code == 0
    assert again.err == ""
    assert "saved in" in again.out


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_signal_ends_it_and_says_what_is_kept(command: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "fullint", *command, "--recipes", "default", "--bits", "w8a8,w4a4"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("[1/2] default w8a8: images top-1 ")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode in (128 + signal.SIGTERM, -signal.SIGTERM)
    assert "what was finished is kept in" in errors.splitlines()[-1]
    results = tmp_path / "results"
    assert os.listdir(results / "cells") == ["default-w8a8.json"]
    assert json.loads((results / "cells" / "default-w8a8.json").read_text())["result"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--recipes", "defualt"], "unknown recipe 'defualt'; did you mean default?"),
        (["--recipes", "default,none-*"], "unknown recipe 'none-*'"),
        (["--recipes", "default", "--bits", "w8a8,8"], "bits '8' are not of the form w8a8"),
        (["--recipes", "failing.yaml"], "recipe file 'failing.yaml' cannot be read"),
        (["--recipes", "default", "--checkpoint", "none"], "'none' holds no weights"),
    ],
)
def test_refuses_before_anything_runs(
    run: Callable, command: list[str], tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    outcome = run(*command, *arguments)
    assert (outcome.code, outcome.out) == (1, "")
    assert f"error: {sentence}" in outcome.err
    assert not (tmp_path / "results").exists()


def test_a_missing_extra_is_told_with_the_command_that_installs_it(
    run: Callable, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr("fullint.recipe_comparison.job._PACKAGES", ("torch",))
    outcome = run(*command, "--recipes", "default")
    assert outcome.code == 1
    assert "needs torch, which is not installed here; run: pip install 'fullint[quantize]'" in (
        outcome.err
    )


def test_help_has_examples(run: Callable) -> None:
    outcome = run("compare", "--help")
    assert outcome.code == 0
    assert "Examples:\n    fullint compare deit_tiny" in outcome.out
