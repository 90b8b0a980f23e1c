"""What is computed, what is kept, and what a failure leaves."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fullint.errors import FullintError
from fullint.recipe_comparison.cells import CellFile
from fullint.recipe_comparison.job import Job

from .conftest import Tasks, run_grid

FLOAT = ["first", "second"]
CELLS = ["default-w8a8", "default-w4a8", "fq-vit-w8a8", "fq-vit-w4a8"]


def test_a_second_run_computes_nothing(job: Job, tmp_path: Path) -> None:
    first, again = Tasks(), Tasks()
    outcomes, notes = run_grid(job, tmp_path / "out", first)
    assert first.asked == FLOAT + CELLS
    assert notes.done == [(index, 4, True) for index in (1, 2, 3, 4)]
    kept, notes = run_grid(job, tmp_path / "out", again)
    assert again.asked == []
    assert notes.notes == []
    assert [outcome.kept for outcome in outcomes + kept] == [False] * 4 + [True] * 4
    assert [outcome.file for outcome in kept] == [outcome.file for outcome in outcomes]


def test_an_interrupted_run_goes_on_where_it_was(job: Job, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_grid(job, tmp_path / "out", Tasks(interrupted="fq-vit-w8a8"))
    left = sorted(path.name for path in (tmp_path / "out" / "cells").iterdir())
    assert left == ["default-w4a8.json", "default-w8a8.json"]
    rest = Tasks()
    outcomes, notes = run_grid(job, tmp_path / "out", rest)
    assert rest.asked == CELLS[2:]
    assert len(outcomes) == 4
    assert notes.done == [(3, 4, True), (4, 4, True)]


def test_a_cell_that_fails_does_not_stop_the_rest_and_is_tried_again(
    job: Job, tmp_path: Path
) -> None:
    outcomes, _ = run_grid(job, tmp_path / "out", Tasks(failing="default-w4a8"))
    assert [outcome.error for outcome in outcomes] == ["", "layer 3 overflows", "", ""]
    again = Tasks()
    run_grid(job, tmp_path / "out", again)
    assert again.asked == ["default-w4a8"]


def test_a_float_model_that_fails_stops_everything(job: Job, tmp_path: Path) -> None:
    with pytest.raises(FullintError, match="layer 3 overflows"):
        run_grid(job, tmp_path / "out", Tasks(failing="first"))


def change_calibration(job: Job) -> Job:
    Path(job.calibration, "c0", "0.png").write_bytes(b"another image")
    return replace(job)


def change_weights(job: Job) -> Job:
    assert job.checkpoint is not None
    Path(job.checkpoint).write_bytes(b"other weights")
    return replace(job)


def change_validation(job: Job) -> Job:
    Path(job.validation[1], "c0", "0.png").write_bytes(b"another image")
    return replace(job)


@pytest.mark.parametrize(
    ("change", "changed", "float_again"),
    [
        (change_calibration, "calibration", []),
        (change_weights, "model", FLOAT),
        (change_validation, "validation", ["second"]),
        (lambda job: replace(job, limit=7), "validation", FLOAT),
        (lambda job: replace(job, calibration_images=7), "calibration", []),
        (lambda job: replace(job, crop_mode="plain"), "model", FLOAT),
        (lambda job: replace(job, model_options={"img_size": 32}), "model", FLOAT),
    ],
)
def test_what_other_settings_decided_is_computed_again_and_said_so(
    job: Job, tmp_path: Path, change: object, changed: str, float_again: list[str]
) -> None:
    run_grid(job, tmp_path / "out", Tasks(), "default", "w8a8")
    again = Tasks()
    _, notes = run_grid(change(job), tmp_path / "out", again, "default", "w8a8")  # type: ignore
    assert again.asked == [*float_again, "default-w8a8"]
    assert notes.notes == [f"default w8a8 is computed again: {changed} changed since"]


def test_another_version_or_declaration_is_computed_again(job: Job, tmp_path: Path) -> None:
    run_grid(job, tmp_path / "out", Tasks(), "default", "w8a8")
    path = tmp_path / "out" / "cells" / "default-w8a8.json"
    file = CellFile.read(path)
    assert file is not None
    file.settings["versions"]["fullint"] = "0.0.1"
    file.settings["recipe"]["requantization"] = "exact"
    file.write(path)
    _, notes = run_grid(job, tmp_path / "out", Tasks(), "default", "w8a8")
    assert notes.notes == ["default w8a8 is computed again: recipe, versions changed since"]


def test_other_source_code_of_the_same_version_is_said(job: Job, tmp_path: Path) -> None:
    run_grid(job, tmp_path / "out", Tasks(), "default")
    path = tmp_path / "out" / "cells" / "default-w8a8.json"
    file = CellFile.read(path)
    assert file is not None
    file.made_by["source"] = "another hash"
    file.write(path)
    again = Tasks()
    _, notes = run_grid(job, tmp_path / "out", again, "default")
    assert again.asked == []
    assert notes.notes == [
        "1 of 2 kept cells were computed by other source code of this version; --recompute "
        "computes them again"
    ]
    run_grid(job, tmp_path / "out", again, "default", recompute=True)
    assert again.asked == CELLS[:2]


def test_a_model_that_was_not_kept_is_made_again(job: Job, tmp_path: Path) -> None:
    run_grid(job, tmp_path / "out", Tasks(), "default", "w8a8")
    again = Tasks()
    run_grid(job, tmp_path / "out", again, "default", "w8a8", keep_models=True)
    run_grid(job, tmp_path / "out", again, "default", "w8a8", keep_models=True)
    assert again.asked == ["default-w8a8"]
    assert (tmp_path / "out" / "models" / "default-w8a8").is_dir()


def test_a_damaged_cell_or_float_file_is_none(job: Job, tmp_path: Path) -> None:
    run_grid(job, tmp_path / "out", Tasks(), "default", "w8a8")
    (tmp_path / "out" / "cells" / "default-w8a8.json").write_text('{"settings": ')
    (tmp_path / "out" / "float" / "first.safetensors").write_bytes(b"half")
    again = Tasks()
    run_grid(job, tmp_path / "out", again, "default", "w8a8")
    assert again.asked == ["first", "default-w8a8"]


def test_files_hold_json_that_others_can_read(job: Job, tmp_path: Path) -> None:
    run_grid(job, tmp_path / "out", Tasks(), "default", "w8a8")
    text = (tmp_path / "out" / "cells" / "default-w8a8.json").read_text()
    content = json.loads(text, parse_constant=pytest.fail)
    assert content["result"]["figures"]["second"]["top1"] == 75.0
    assert str(tmp_path) not in text


@pytest.mark.parametrize("name", ["results.csv", "results.md"])
def test_results_of_another_origin_are_not_overwritten(job: Job, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a week of measurements")
    with pytest.raises(FullintError, match="was not written by a comparison"):
        run_grid(job, tmp_path, Tasks())


@pytest.mark.skipif(sys.platform == "win32", reason="other words")
def test_what_is_missing_is_refused_before_anything_runs(job: Job, tmp_path: Path) -> None:
    tasks = Tasks()
    for wrong in (
        replace(job, calibration=str(tmp_path / "nowhere")),
        replace(job, validation=(str(tmp_path / "nowhere"),)),
        replace(job, checkpoint=str(tmp_path / "nowhere")),
        replace(job, class_map=str(tmp_path / "nowhere")),
    ):
        with pytest.raises(FullintError, match="nowhere"):
            run_grid(wrong, tmp_path / "out", tasks)
    (tmp_path / "file").write_text("")
    with pytest.raises(FullintError, match="cannot be written"):
        run_grid(job, tmp_path / "file", tasks)
    assert tasks.asked == []
    assert not (tmp_path / "out").exists()


def test_two_folders_of_one_name_are_refused(job: Job, tmp_path: Path) -> None:
    with pytest.raises(FullintError, match="two validation folders are called 'first'"):
        replace(job, validation=(job.validation[0], job.validation[0]))
