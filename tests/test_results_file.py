"""The CSV of results grows by whole rows or not at all."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from fullint.errors import FullintError
from fullint.results_file import append_results

ROW = {"model": 'a "quoted", name', "top1": 80.62, "agreement": ""}


def test_creates_with_header_then_appends(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    append_results(path, ROW)
    append_results(str(path), ROW | {"top1": 1})
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"model": 'a "quoted", name', "top1": "80.62", "agreement": ""},
        {"model": 'a "quoted", name', "top1": "1", "agreement": ""},
    ]
    assert os.listdir(tmp_path) == ["results.csv"]


@pytest.mark.parametrize(
    "existing", ["", "\n", "model,top1,agreement", "\ufeffmodel,top1,agreement\r\n"]
)
def test_accepts_what_an_editor_may_have_left(tmp_path: Path, existing: str) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(existing.encode())
    append_results(path, ROW)
    with path.open(newline="") as file:
        assert [row["top1"] for row in csv.DictReader(file)] == ["80.62"]


def test_refuses_other_columns_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("model,top5\nx,1\n")
    with pytest.raises(
        FullintError, match=r"other columns \(model, top5\) than this run \(model, top1"
    ):
        append_results(path, ROW)
    assert path.read_text() == "model,top5\nx,1\n"


def test_refuses_what_it_cannot_read_or_write(tmp_path: Path) -> None:
    with pytest.raises(FullintError, match="cannot be written: No such file"):
        append_results(tmp_path / "absent" / "results.csv", ROW)
    with pytest.raises(FullintError, match="cannot be read: Is a directory"):
        append_results(tmp_path, ROW)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(FullintError, match="cannot be read: it is not UTF-8 text"):
        append_results(tmp_path / "binary.csv", ROW)


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_an_interrupt_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = tmp_path / "results.csv"
    append_results(path, ROW)
    before = path.read_bytes()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, moment, interrupt)
    with pytest.raises(KeyboardInterrupt):
        append_results(path, ROW)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["results.csv"]


def test_keeps_a_link_and_writes_where_it_points(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "results.csv"
    link.symlink_to(tmp_path / "real" / "results.csv")
    append_results(link, ROW)
    append_results(link, ROW)
    assert link.is_symlink()
    assert len((tmp_path / "real" / "results.csv").read_text().splitlines()) == 3
