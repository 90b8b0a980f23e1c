"""`fullint export` and `fullint hardware`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("amaranth", reason="needs the extra 'hardware'")
pytest.importorskip("pyosys", reason="needs the extra 'hardware'")


def test_exports_a_unit_with_rows_of_the_model(
    run: Callable, artefact: Path, images: Path, tmp_path: Path
) -> None:
    for name, source in (("random", []), ("images", ["--data-dir", images])):
        folder = tmp_path / name
        outcome = run(
            "export", artefact, "--to", "verilog", "--lanes", 4, "-o", folder, "--rows", 30, *source
        )
        assert (outcome.code, outcome.err) == (0, "")
        assert "30 rows of 5;" in outcome.out
        if shutil.which("iverilog"):
            command = "iverilog -g2005-sv -o test e2softmax.v e2softmax_test.v && vvp test"
            found = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True)
            assert found.stdout == "PASS: 60 beats\n"
    again = run("export", artefact, "-o", tmp_path / "images")
    assert again.code == 1 and "is not empty" in again.err


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_reports_a_unit(run: Callable, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    outcome = run(
        *("hardware", "--unit", "e2softmax", "--lanes", 2, "--row-length", 8),
        *("--chart", tmp_path / "units.svg"),
    )
    assert (outcome.code, outcome.err) == (0, "")
    row = next(line.split() for line in outcome.out.splitlines() if " e2softmax " in line)
    assert row[:3] == ["e2softmax", "2", "8"]
    datapath, buffer, total = (int(cell.replace(",", "")) for cell in row[3:6])
    assert 500 < datapath < 5000 and 200 < buffer < 1000 and abs(datapath + buffer - total) <= 1
    assert "<svg" in (tmp_path / "units.svg").read_text()


def test_names_the_units_where_one_is_unknown(run: Callable) -> None:
    outcome = run("hardware", "--unit", "softmax9")
    assert outcome.code != 0 and "e2softmax, e2softmax_whole_octaves" in outcome.err
