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


def test_says_what_a_unit_needs_of_the_model(run: Callable, artefact: Path, tmp_path: Path) -> None:
    for unit, said in (("ailayernorm", "has no ailayernorm"), ("layer_norm", "only 8 bits")):
        outcome = run("export", artefact, "--unit", unit, "-o", tmp_path / unit)
        assert outcome.code == 1 and said in outcome.err


def test_exports_a_layer_norm_with_tokens_of_the_model(
    run: Callable, model_options: list[str], images: Path, tmp_path: Path
) -> None:
    quantized = run(
        *("quantize", *model_options, "--recipe", "sole", "--data-dir", images),
        *("-o", tmp_path / "out"),
    )
    assert quantized.code == 0, quantized.err
    outcome = run(
        *("export", tmp_path / "out", "--unit", "ailayernorm", "-o", tmp_path / "rtl"),
        *("--data-dir", images),
    )
    assert (outcome.code, outcome.err) == (0, "")
    if shutil.which("iverilog"):
        command = "iverilog -g2005-sv -o test ailayernorm.v ailayernorm_test.v && vvp test"
        found = subprocess.run(
            command, shell=True, cwd=tmp_path / "rtl", capture_output=True, text=True
        )
        assert found.stdout.startswith("PASS")


def test_reports_a_unit(run: Callable, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    accuracy = tmp_path / "accuracy.csv"
    accuracy.write_text(
        "softmax,layernorm,gelu,top1,agreement\ne2softmax,exact,table,79.95,93.40\n"
        "e2softmax,exact,ibert,70,80\n"
    )
    outcome = run(
        *("hardware", "--unit", "e2softmax", "--lanes", 2, "--row-length", 8),
        *("--chart", tmp_path / "units.svg", "--results-file", tmp_path / "units.csv"),
        *("--accuracy", accuracy),
    )
    assert (outcome.code, outcome.err) == (0, "")
    row = next(line.split() for line in outcome.out.splitlines() if " e2softmax " in line)
    assert row[-2:] == ["79.95", "93.40"]
    assert row[:3] == ["e2softmax", "2", "8"]
    datapath, buffer, total = (int(cell.replace(",", "")) for cell in row[3:6])
    assert 500 < datapath < 5000 and 200 < buffer < 1000 and abs(datapath + buffer - total) <= 1
    assert "<svg" in (tmp_path / "units.svg").read_text()
    assert len((tmp_path / "units.csv").read_text().splitlines()) == 2


def test_names_the_units_where_one_is_unknown(run: Callable) -> None:
    outcome = run("hardware", "--unit", "softmax9")
    assert outcome.code != 0 and "e2softmax, e2softmax_quarter_octaves" in outcome.err


def test_refuses_before_the_long_work(run: Callable, artefact: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    short = tmp_path / "short.csv"
    short.write_text("softmax,layernorm,gelu,top1,agreement\nexact,exact,table\n")
    for arguments, said in (
        (["--chart", tmp_path / "units.txt"], "is neither"),
        (["--chart", tmp_path / "absent" / "units.png"], "not a writable folder"),
        (["--results-file", tmp_path / "taken"], "is a folder, not a file"),
        (["--accuracy", short], "is no CSV file with columns"),
        (["--data-dir", tmp_path], "is for the run of a '--model'"),
        (["--model", artefact, "--row-length", 4], "rows have 5 elements, the unit's at most 4"),
        (["--model", artefact, "--unit", "ailayernorm"], "the model has no ailayernorm"),
    ):
        outcome = run("hardware", "--unit", "e2softmax", *arguments)
        assert outcome.code != 0 and said in outcome.err, outcome.err
    outcome = run("export", artefact, "-o", short / "rtl")
    assert outcome.code == 1 and "not a writable folder" in outcome.err
