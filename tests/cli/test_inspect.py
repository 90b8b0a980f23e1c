"""`fullint inspect`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fullint
from fullint.integer.model import IntegerModel


def test_shows_the_whole_model(run: Callable, artefact: Path) -> None:
    outcome = run("inspect", artefact)
    assert (outcome.code, outcome.err) == (0, "")
    facts = outcome.out
    for expected in (
        "test_vit (W.safetensors)",
        "default (weights 8 bits, activations 8 bits, attention 8 bits)",
        "24 images of 'images'",
        "uint8 pixels 32 × 32 × 3",
        "bicubic, crop fraction 0.95, center",
        "3 int32 logits (c0, c1, c2 ...)",
        "bits, of at most 32",
        "the 5 worst layers",
        "not measured yet",
    ):
        assert expected in facts
    assert facts.endswith("float operations left: 0\n")
    program = fullint.load(artefact).program
    linear = sum(operation.kind == "linear" for operation in program.operations)
    assert ["linear", str(linear)] in [line.split()[:2] for line in facts.splitlines()]


def test_shows_every_layer_when_asked(run: Callable, artefact: Path) -> None:
    report = fullint.load(artefact).metadata.provenance.layer_report
    words = run("inspect", artefact, "--layers").out.split()
    assert len(report) > 5
    assert {entry["tensor"] for entry in report} <= set(words)


def test_text_from_a_file_does_not_steer_the_terminal(
    run: Callable, artefact: Path, tmp_path: Path
) -> None:
    model = fullint.load(artefact)
    provenance = replace(
        model.metadata.provenance,
        model="evil\x1b[2J\nmodel [bold]",
        layer_report=[
            {"tensor": "\x1b[31mred", "equal": 1, "largest": 0, "signal_to_difference": 999},
            {"tensor": 5, "equal": "x"},
        ],
    )
    metadata = replace(
        model.metadata,
        provenance=provenance,
        preprocessing={**(model.preprocessing or {}), "interpolation": "\x1b[0m"},
        class_names=["\x1b]0;title\x07", "b", "c"],
    ).with_measurement({"data": "\x1b[5m", "images": 3, "top1": "\x1b[6m"})
    IntegerModel(model.program, metadata).save(tmp_path / "evil")
    outcome = run("inspect", tmp_path / "evil", "--layers")
    assert outcome.code == 0, outcome.err
    assert "\x1b" not in outcome.out
    assert "\x07" not in outcome.out
    assert "model [bold] (W.safetensors)\n" in outcome.out  # no markup, on one line
    assert "[31mred" in outcome.out


def test_a_model_of_unknown_origin(run: Callable, artefact: Path, tmp_path: Path) -> None:
    IntegerModel(fullint.load(artefact).program).save(tmp_path / "bare")
    outcome = run("inspect", tmp_path / "bare")
    assert outcome.code == 0, outcome.err
    assert "unknown" in outcome.out
