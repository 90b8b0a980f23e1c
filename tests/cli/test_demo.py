"""`fullint demo`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import fullint

pytest.importorskip("sklearn", reason="needs the extra 'quantize'")
pytest.importorskip("torch", reason="needs the extra 'quantize'")


def test_shows_accuracy_agreement_and_sizes(run: Callable, tmp_path: Path) -> None:
    outcome = run("demo", "-o", tmp_path / "digits")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    accuracy = {line.split()[0]: float(line.split()[2]) for line in lines if "Acc@1" in line}
    assert accuracy["float"] >= 97
    assert abs(accuracy["integer"] - accuracy["float"]) <= 1
    [agreement] = [float(line.split()[1]) for line in lines if line.startswith("agreement")]
    assert agreement >= 98
    assert lines[-1] == "float operations left: 0"
    assert any(line.startswith("size ") and " -> integer " in line for line in lines)
    model = fullint.load(tmp_path / "digits")
    assert model.metadata.class_names == [str(digit) for digit in range(10)]


def test_refuses_an_existing_folder_before_the_work(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fullint.pipeline.quantize", pytest.fail)
    outcome = run("demo", "-o", tmp_path)
    assert outcome.code == 1
    assert "exists already" in outcome.err
