"""`fullint bench`. Nothing here says how fast anything is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fullint import engine
from fullint.bench import load_results
from fullint.bench.peers import Peer, PeerUnavailableError

pytestmark = pytest.mark.skipif(not engine.available(), reason="the native engine is not built")

QUICK = ["--batch", 1, "--threads", 1, "--rounds", 1]


def test_help_has_examples(run: Callable) -> None:
    outcome = run("bench", "--help")
    assert outcome.code == 0
    assert "Examples:\n    fullint bench" in outcome.out
    assert "openvino-f32" in outcome.out


def test_a_saved_model_alone(run: Callable, artefact: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    sizes = ["--batch", 3, "--batch", 1, "--threads", 1, "--threads", 2, "--rounds", 1]
    out = tmp_path / "new" / "speed"
    outcome = run("bench", artefact, *sizes, "--peers", "none", "-o", out)
    assert outcome.code == 0, outcome.err
    assert "best peer" not in outcome.out.replace("* the best peer", "")
    assert "fullint, images/s" in outcome.out
    assert "linear" in outcome.out and "GOPS" in outcome.out
    assert "batch 3, threads 2" in outcome.err
    data, chart = out / "out.json", out / "out.png"
    assert sorted(out.iterdir()) == [data, chart]
    assert chart.read_bytes().startswith(b"\x89PNG")
    results = load_results(data)
    assert results.points() == [(1, 1), (1, 2), (3, 1), (3, 2)]
    assert results.settings == {"fullint": "recipe default, saved model"}


def test_results_name_all_that_they_depend_on(run: Callable, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    model = ["test_vit", "--img-size", 32, "--random-weights"]
    outcome = run("bench", *model, *QUICK, "--peers", "torch-fp32, torch-bf16", "-o", tmp_path)
    assert outcome.code == 0, outcome.err
    assert "best peer / fullint" in outcome.out
    content = json.loads((tmp_path / "test_vit.json").read_text())
    assert {m["name"] for m in content["measurements"]} == {"fullint", "torch-fp32", "torch-bf16"}
    assert all(m["low"] <= m["milliseconds"] <= m["high"] for m in content["measurements"])
    assert set(content["settings"]) == {"fullint", "torch-fp32", "torch-bf16"}
    assert content["settings"]["fullint"] == (
        "recipe default, ranges of noise; float model test_vit, random weights"
    )
    assert content["isa"] in content["machine"]["isas"]
    assert {"cpu", "cpus", "commit", "date", "environment"} <= set(content["machine"])
    assert {"fullint", "numpy", "torch", "timm"} <= set(content["machine"]["versions"])
    assert {"kind", "seconds", "share", "operations"} <= set(content["profile"][0])


@pytest.mark.parametrize("named", ["--reference", "--artefact", "random"])
def test_peers_of_a_saved_model(
    run: Callable, artefact: Path, checkpoint: Path, named: str
) -> None:
    models = {
        "--reference": [artefact, "--reference", "test_vit", "--checkpoint", checkpoint],
        "--artefact": ["test_vit", "--artefact", artefact, "--checkpoint", checkpoint],
        "random": [artefact, "--reference", "test_vit", "--random-weights"],
    }
    outcome = run("bench", *models[named], *QUICK, "--peers", "torch-fp32")
    assert outcome.code == 0, outcome.err
    assert "torch-fp32" in outcome.out


def test_an_instruction_set(
    run: Callable, artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [*QUICK, "--peers", "none", "-o", tmp_path]
    outcome = run("bench", artefact, "--isa", "portable", *chosen)
    assert outcome.code == 0, outcome.err
    assert load_results(tmp_path / "out.json").isa == "portable"
    monkeypatch.setattr(sys.modules["fullint.cli.bench"], "load_model", pytest.fail)
    refused = run("bench", artefact, "--isa", "sse2", *QUICK, "--peers", "none")
    assert refused.code == 1
    assert "'sse2' is not available here" in refused.err


def test_without_a_float_model_there_are_no_peers(run: Callable, artefact: Path) -> None:
    outcome = run("bench", artefact, *QUICK)
    assert outcome.code == 0, outcome.err
    assert "warning: no peers are measured" in outcome.err


def test_peers_that_are_missing_or_fail_are_named(
    run: Callable, artefact: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(task: object) -> Callable[[], object]:
        raise PeerUnavailableError("x is not installed; run: pip install 'fullint[bench]'")

    def fails_when_run(task: object) -> Callable[[], object]:
        return lambda: 1 // 0

    command = sys.modules["fullint.cli.bench"]
    peers = [Peer("absent", "", absent), Peer("broken", "", fails_when_run)]
    monkeypatch.setattr(command, "find_peers", lambda names: peers)
    model = [artefact, "--reference", "test_vit", "--checkpoint", checkpoint]
    outcome = run("bench", *model, *QUICK, "--peers", "torch-fp32")
    assert outcome.code == 0, outcome.err
    assert "not measured: absent: x is not installed; run: pip install 'fullint[bench]'" in (
        outcome.out
    )
    assert "not measured: broken: it failed with ZeroDivisionError" in outcome.out


def test_results_are_kept_where_no_chart_can_be_drawn(
    run: Callable, artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    outcome = run("bench", artefact, *QUICK, "--peers", "none", "-o", tmp_path)
    assert outcome.code == 0, outcome.err
    assert "pip install 'fullint[plot]'" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize("taken", ["out.json", "out.png"])
def test_existing_files_are_refused_before_the_work(
    run: Callable, artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    monkeypatch.setattr(sys.modules["fullint.cli.bench"], "load_model", pytest.fail)
    (tmp_path / taken).write_text("a week of measurements")
    outcome = run("bench", artefact, "--peers", "none", "-o", tmp_path)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith(f"error: '{tmp_path / taken}' exists already")
    assert (tmp_path / taken).read_text() == "a week of measurements"
    refused = run("bench", artefact, "--peers", "none", "-o", tmp_path / taken)
    assert refused.code == 1
    assert "is not a writable folder" in refused.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["FOLDER", "--peers", "torch-fp32"], "give --reference too"),
        (["FOLDER", "--random-weights"], "give --reference too"),
        (["FOLDER", "--img-size", 64], "leave out --img-size"),
        (["FOLDER", "--peers", "none", "--recipe", "fq-vit"], "leave out --recipe"),
        (["test_vit", "--reference", "test_vit"], "--reference goes with a folder"),
        (["test_vit", "--checkpoint", "W", "--random-weights"], "either --checkpoint or"),
        (["test_vit", "--batch", 0], "--batch"),
        (["test_vit", "--threads", 0], "--threads"),
        (["test_vit", "--threads", 5000], "--threads"),
    ],
)
def test_wrong_usage(run: Callable, artefact: Path, arguments: list[object], sentence: str) -> None:
    filled = [artefact if argument == "FOLDER" else argument for argument in arguments]
    outcome = run("bench", *filled)
    assert (outcome.code, outcome.out) == (2, "")
    assert sentence in " ".join(outcome.err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["test_vit", "--peers", "tvm"], "no peer is called 'tvm'"),
        (["test_vit", "--random-weights", "--recipe", "defualt"], "unknown recipe 'defualt'"),
        (["test_vitt", "--random-weights"], "unknown model 'test_vitt'"),
        (["test_vit", "--artefact", "nowhere", "--peers", "none"], "cannot load"),
    ],
)
def test_errors(run: Callable, arguments: list[object], sentence: str) -> None:
    pytest.importorskip("torch")
    outcome = run("bench", *arguments)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines()[-1].startswith("error: ")
    assert sentence in outcome.err
