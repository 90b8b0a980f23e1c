"""Figures, tables, chart and estimate."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from fullint.data import ImageLoader, Preprocessing
from fullint.errors import FullintError
from fullint.recipe_comparison.cells import CellFile, plan_cells
from fullint.recipe_comparison.chart import draw_chart
from fullint.recipe_comparison.float_reference import FloatReference
from fullint.recipe_comparison.grid import Outcome
from fullint.recipe_comparison.job import Job
from fullint.recipe_comparison.measurement import measure
from fullint.recipe_comparison.tables import ranked, result_rows, to_csv, to_markdown
from fullint.recipe_comparison.time_left import TimeLeft

from .conftest import IMAGES, Tasks, run_grid


def images_of(job: Job) -> ImageLoader:
    """Eight images of one pixel each, whose red value is the image's number."""
    spec = Preprocessing(1, 1, 3, 1.0, "plain", "bicubic", (0.5,) * 3, (0.5,) * 3)
    folder = Path(job.validation[0])
    return ImageLoader([folder / f"c{i % 2}" / f"{i}.png" for i in range(IMAGES)], spec, 3)


def reference(**changes: np.ndarray) -> FloatReference:
    """Float logits of 4 in the image's own class and 0 elsewhere; all right but the last."""
    logits = 4 * np.eye(IMAGES, 10, dtype=np.float32)
    labels = np.array([0, 1, 2, 3, 4, 5, 6, 0])
    return FloatReference(logits, labels, np.ones(IMAGES, bool))


def test_figures_by_hand(job: Job) -> None:
    def predict(pixels: np.ndarray) -> np.ndarray:
        logits = 4.0 * np.eye(IMAGES, 10)[pixels[:, 0, 0, 0]]
        logits[pixels[:, 0, 0, 0] == 2] = 5 * np.eye(10)[9]  # wrong, and not what float says
        return logits

    done: list[int] = []
    figures = measure(predict, images_of(job), reference(), lambda images, of: done.append(images))
    assert done == [3, 6, 8]
    assert (figures["images"], figures["skipped"]) == (8, 0)
    assert (figures["top1"], figures["float_top1"]) == (75.0, 87.5)
    assert figures["agreement"] == 87.5
    # Eight logits of 4 against one that lost its 4 and has a 5 elsewhere.
    assert figures["logit_sqnr_db"] == round(10 * np.log10(8 * 16 / (16 + 25)), 3)


def test_equal_logits_have_no_noise(job: Job) -> None:
    own = reference()
    figures = measure(
        lambda pixels: own.logits[pixels[:, 0, 0, 0]], images_of(job), own, lambda *_: None
    )
    assert (figures["agreement"], figures["logit_sqnr_db"]) == (100.0, 999.0)


def outcome(recipe: str, bits: str, top1: float, runs_in: str = "integers") -> Outcome:
    [cell] = plan_cells(recipe, bits)
    figures = {"top1": top1, "float_top1": 80.0, "agreement": 90.0, "logit_sqnr_db": 20.0}
    result = {
        "runs_in": runs_in,
        "quantization_seconds": 10.0,
        "model_size_mb": None if runs_in == "simulation" else 6.0,
        "figures": {"val": figures},
        "total_seconds": 20.0 if recipe == "default" else 60.0,
    }
    settings = {"versions": {"fullint": "0.1.0"}}
    return Outcome(cell, CellFile(settings, result, {"cpu": "a CPU", "cpus": 2}))


def outcomes() -> list[Outcome]:
    [failed] = plan_cells("fq-vit-888", "w4a4")
    return [
        outcome("default", "w4a4", 60.0),
        outcome("default", "w8a8", 79.0),
        outcome("fq-vit", "w8a8", 79.5, "simulation"),
        Outcome(failed, error="layer 3 overflows"),
    ]


def test_rows_are_ranked_by_bits_then_accuracy() -> None:
    rows = ranked(result_rows(outcomes()))
    assert [(row["bits"], row["recipe"]) for row in rows] == [
        ("w8a8", "fq-vit"),
        ("w8a8", "default"),
        ("w4a4", "default"),
    ]
    assert [row["drop"] for row in rows] == [0.5, 1.0, 20.0]


def test_csv_has_a_row_a_cell_and_folder(job: Job, tmp_path: Path) -> None:
    both, _ = run_grid(job, tmp_path / "out", Tasks(failing="fq-vit-w8a8"))
    rows = list(csv.DictReader(to_csv(result_rows(both)).splitlines()))
    assert [(row["recipe"], row["bits"], row["data"], row["error"]) for row in rows] == [
        ("default", "w8a8", "first", ""),
        ("default", "w8a8", "second", ""),
        ("default", "w4a8", "first", ""),
        ("default", "w4a8", "second", ""),
        ("fq-vit", "w8a8", "", "layer 3 overflows"),
        ("fq-vit", "w4a8", "first", ""),
        ("fq-vit", "w4a8", "second", ""),
    ]
    assert rows[0]["runs_in"] == "integers"
    assert (rows[0]["drop"], rows[0]["peak_memory_mb"]) == ("25.0", "900.0")


def test_markdown_has_the_command_the_tables_and_the_failures(job: Job) -> None:
    text = to_markdown(job, "fullint compare x", outcomes(), {"val": reference()})
    assert "\n    fullint compare x\n" in text
    assert "\n## val\n\n8 images; float model: top-1 87.50 (± 11.69), top-5 " in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[1:] == [
        "| fq-vit | w8a8 | 79.50 | 0.50 | - | 90.00 | 20.0 | 10 | - | - | - | simulation |",
        "| default | w8a8 | 79.00 | 1.00 | - | 90.00 | 20.0 | 10 | - | - | 6.00 | integers |",
        "| default | w4a4 | 60.00 | 20.00 | - | 90.00 | 20.0 | 10 | - | - | 6.00 | integers |",
    ]
    assert "* fq-vit-888 w4a4: layer 3 overflows" in text
    assert "on a CPU, 2 CPUs" in text


def test_the_chart_has_a_line_a_recipe(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = result_rows(outcomes())
    png, svg = draw_chart(rows, {"val": reference()}, tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    text = svg.read_text()
    assert "<!-- fq-vit (simulation) -->" in text and "<!-- default -->" in text
    assert "<!-- fq-vit-888 -->" not in text
    assert draw_chart(rows, {"val": reference()}, tmp_path)[1].read_text() == text


def test_without_matplotlib_the_chart_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(FullintError, match=r"pip install 'fullint\[plot\]'"):
        draw_chart([], {"val": reference()}, tmp_path)


def test_the_estimate_knows_a_recipe_by_its_other_bits() -> None:
    known = [(o.cell, o.file) for o in outcomes() if o.file is not None]
    remaining = plan_cells("default,fq-vit,fq-vit-888", "w6a6")
    assert TimeLeft([]).estimate(remaining) is None
    assert TimeLeft([]).estimate([]) == 0
    assert TimeLeft(known).estimate(remaining) == 20 + 60 + (20 + 60) / 2
