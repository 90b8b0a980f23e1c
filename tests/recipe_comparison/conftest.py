"""A comparison without models: tasks that write invented figures, and who listens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pydantic", reason="needs the extra 'quantize'")

from fullint.errors import FullintError
from fullint.recipe_comparison.cells import plan_cells
from fullint.recipe_comparison.float_reference import FloatReference
from fullint.recipe_comparison.grid import Grid, Outcome
from fullint.recipe_comparison.job import Job

IMAGES = 8


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Two validation folders of eight images and a checkpoint, all small and all files."""
    for folder in ("calibration", "first", "second"):
        for index in range(IMAGES):
            path = tmp_path / folder / f"c{index % 2}" / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (index, 0, 0)).save(path)
    (tmp_path / "W.safetensors").write_bytes(b"weights")
    return Job(
        model="test_vit",
        checkpoint=str(tmp_path / "W.safetensors"),
        calibration=str(tmp_path / "calibration"),
        validation=(str(tmp_path / "first"), str(tmp_path / "second")),
    )


class Tasks:
    """In place of processes: counts what is asked for, and fails where it is told to."""

    def __init__(self, failing: str = "", interrupted: str = "") -> None:
        self.asked: list[str] = []
        self.failing = failing
        self.interrupted = interrupted

    def __call__(
        self, task: str, job: Job, arguments: dict[str, Any], log: Path, report: Any
    ) -> dict[str, Any]:
        self.asked.append(log.stem)
        report("evaluate", 1, 2)
        if log.stem == self.interrupted:
            raise KeyboardInterrupt
        if log.stem == self.failing:
            raise FullintError("layer 3 overflows")
        if task == "float":
            logits = np.eye(IMAGES, 10, dtype=np.float32)
            reference = FloatReference(logits, np.arange(IMAGES), np.ones(IMAGES, bool))
            reference.write(Path(arguments["path"]), job.float_settings(arguments["name"]))
            return {}
        if arguments["save"] is not None:
            Path(arguments["save"]).mkdir()
        figures = {
            "images": IMAGES,
            "top1": 75.0,
            "top5": 87.5,
            "float_top1": 100.0,
            "agreement": 62.5,
            "logit_sqnr_db": 21.25,
        }
        return {
            "runs_in": "integers",
            "quantization_seconds": 12.3,
            "peak_memory_mb": 900.0,
            "model_size_mb": 6.0,
            "figures": dict.fromkeys(job.validation_names, figures),
        }


class Notes:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.begun: list[str] = []
        self.done: list[tuple[int, int, bool]] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def begin(self, what: str) -> None:
        self.begun.append(what)

    def step(self, step: str, done: int, total: int) -> None:
        assert (step, done, total) == ("evaluate", 1, 2)

    def finished(self, outcome: Outcome, done: int, total: int, seconds_left: float | None) -> None:
        self.done.append((done, total, outcome.file is not None))


def run_grid(
    job: Job,
    output: Path,
    tasks: Tasks,
    recipes: str = "default,fq-vit",
    bits: str | None = "w8a8,w4a8",
    **options: bool,
) -> tuple[list[Outcome], Notes]:
    """All outcomes, and what was said meanwhile."""
    notes = Notes()
    grid = Grid(job, plan_cells(recipes, bits), output, notes, run_task=tasks, **options)
    return list(grid.run()), notes
