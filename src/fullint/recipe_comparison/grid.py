"""The whole grid: what is there already is kept, the rest is computed, one cell after the other."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fullint.bench.machine import describe_machine
from fullint.errors import FullintError
from fullint.recipe_comparison.cells import Cell, CellFile
from fullint.recipe_comparison.float_reference import FloatReference
from fullint.recipe_comparison.job import Job
from fullint.recipe_comparison.subprocess_task import run_task
from fullint.recipe_comparison.time_left import TimeLeft

RunTask = Callable[..., dict[str, Any]]
TABLES = ("results.csv", "results.md")


@dataclass(frozen=True)
class Outcome:
    """A cell and its file, or the sentence on why there is none. `kept`: from an earlier run."""

    cell: Cell
    file: CellFile | None = None
    error: str = ""
    kept: bool = False


class Listener(Protocol):
    """Who is told how far the comparison is."""

    def note(self, sentence: str) -> None:
        """Something worth knowing."""

    def begin(self, what: str) -> None:
        """A cell, or the float model on a folder, is computed now."""

    def step(self, step: str, done: int, total: int) -> None:
        """A part of it."""

    def finished(self, outcome: Outcome, done: int, total: int, seconds_left: float | None) -> None:
        """`done` of `total` cells; what is written stays, and the rest takes about so long."""


class Grid:
    """Recipes by bit widths on one model, in one output folder.

    Args:
        job: model and images.
        cells: what to measure.
        output: folder for everything that is written; made if it is not there.
        keep_models: save every integer program under `output`/models.
        recompute: keep nothing of an earlier run but the float model's logits.

    Raises:
        FullintError: the folder holds tables that are not a comparison's, or cannot be written.
    """

    def __init__(
        self,
        job: Job,
        cells: Sequence[Cell],
        output: Path,
        listener: Listener,
        *,
        keep_models: bool = False,
        recompute: bool = False,
        run_task: RunTask = run_task,
    ) -> None:
        self.job = job
        self.cells = cells
        self.output = output
        self.listener = listener
        self.keep_models = keep_models
        self.recompute = recompute
        self._run_task = run_task
        for cell in cells:  # reads all files, so that what is missing is refused now
            self._settings(cell)
        self._make_folders()

    def _make_folders(self) -> None:
        foreign = [name for name in TABLES if (self.output / name).exists()]
        if foreign and not (self.output / "cells").is_dir():
            raise FullintError(
                f"{str(self.output / foreign[0])!r} was not written by a comparison; choose "
                "another folder for --output"
            )
        try:
            for name in ("cells", "float", *(["models"] if self.keep_models else [])):
                (self.output / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FullintError(
                f"{str(self.output)!r} cannot be written: {error.strerror}"
            ) from error

    def references(self) -> dict[str, FloatReference]:
        """The float model's logits by validation folder, computed where they are missing."""
        return {
            name: self._reference(name, folder)
            for name, folder in zip(self.job.validation_names, self.job.validation, strict=True)
        }

    def _reference(self, name: str, folder: str) -> FloatReference:
        path, settings = self._reference_path(name), self.job.float_settings(name)
        reference = FloatReference.read(path, settings)
        if reference is None:
            self.listener.begin(f"float model on {name}")
            arguments = {"folder": folder, "name": name, "path": str(path)}
            log = path.with_suffix(".log")
            self._run_task("float", self.job, arguments, log, self.listener.step)
            reference = FloatReference.read(path, settings)
        assert reference is not None
        return reference

    def _reference_path(self, name: str) -> Path:
        return self.output / "float" / f"{name}.safetensors"

    def run(self) -> Iterator[Outcome]:
        """The outcome of every cell, those that are kept first."""
        self.references()
        found = [(cell, self._kept(cell)) for cell in self.cells]
        kept = [(cell, file) for cell, file in found if file is not None]
        remaining = [cell for cell, file in found if file is None]
        if other := sum(file.made_by["source"] != source_hash() for _, file in kept):
            self.listener.note(
                f"{other} of {len(kept)} kept cells were computed by other source code of this "
                "version; --recompute computes them again"
            )
        yield from (Outcome(cell, file, kept=True) for cell, file in kept)
        time_left = TimeLeft(kept)
        for index, cell in enumerate(remaining, start=1):
            self.listener.begin(str(cell))
            outcome = self._computed(cell)
            if outcome.file is not None:
                time_left.add(cell, outcome.file)
            left = time_left.estimate(remaining[index:])
            self.listener.finished(outcome, len(kept) + index, len(self.cells), left)
            yield outcome

    def _kept(self, cell: Cell) -> CellFile | None:
        file = CellFile.read(self._path(cell))
        if file is None or self.recompute:
            return None
        if changed := file.changed(self._settings(cell)):
            self.listener.note(f"{cell} is computed again: {', '.join(changed)} changed since")
            return None
        is_program = file.result["runs_in"] == "integers"
        if self.keep_models and is_program and not self._model_path(cell).is_dir():
            return None
        return file

    def _computed(self, cell: Cell) -> Outcome:
        path = self._path(cell)
        arguments = {
            "recipe": cell.recipe.model_dump(mode="json"),
            "references": {
                name: str(self._reference_path(name)) for name in self.job.validation_names
            },
            "save": str(self._model_path(cell)) if self.keep_models else None,
        }
        start = time.monotonic()
        try:
            result = self._run_task(
                "cell", self.job, arguments, path.with_suffix(".log"), self.listener.step
            )
        except FullintError as error:
            return Outcome(cell, error=str(error))
        result["total_seconds"] = round(time.monotonic() - start, 1)
        file = CellFile(self._settings(cell), result, made_by())
        file.write(path)
        return Outcome(cell, file)

    def _settings(self, cell: Cell) -> dict[str, Any]:
        return self.job.cell_settings(cell.recipe)

    def _path(self, cell: Cell) -> Path:
        return self.output / "cells" / f"{cell.file_name}.json"

    def _model_path(self, cell: Cell) -> Path:
        return self.output / "models" / cell.file_name


@functools.cache
def made_by() -> dict[str, Any]:
    """Machine and source code."""
    machine = describe_machine()
    return {name: machine[name] for name in ("cpu", "cpus", "commit")} | {"source": source_hash()}


@functools.cache
def source_hash() -> str:
    """sha256 of this package's Python source, which in a checkout changes more often than its
    version.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
