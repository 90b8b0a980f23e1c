"""The units equal their NumPy operations, bit for bit, in a compiled simulation."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("amaranth", reason="needs the extra 'hardware'")
pytest.importorskip("pyosys", reason="needs the extra 'hardware'")
if shutil.which("c++") is None:
    pytest.skip("needs a C++ compiler", allow_module_level=True)

from fullint.errors import FullintError
from fullint.hardware.cases import Case, joined
from fullint.hardware.layer_norm_cases import AILayerNormCase, LayerNormCase
from fullint.hardware.simulation import Simulation, Vectors
from fullint.hardware.softmax_cases import E2SoftmaxCase, Log2SoftmaxCase
from fullint.hardware.streams import interface_of
from fullint.hardware.verification import Verification
from fullint.hardware.verilog import export_verilog, write_rtlil

STALLS = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.4)]
CASES = [
    E2SoftmaxCase(4, 21),
    E2SoftmaxCase(2, 9, fraction_bits=3, natural=True),
    E2SoftmaxCase(3, 10, fraction_bits=0),
    E2SoftmaxCase(1, 5, output_bits=4, quotients=(208, 147)),
    E2SoftmaxCase(6, 13, output_bits=4, natural=True, fraction_bits=2, known_maximum=True),
    Log2SoftmaxCase(4, 13),
    Log2SoftmaxCase(1, 3),
    AILayerNormCase(2, 12, ranges=2),
    AILayerNormCase(3, 10, low=-128, high=127),
    LayerNormCase(2, 12),
    LayerNormCase(3, 10, low=-128, high=127),
]


def simulation(case: Case, directory: Path) -> Simulation:
    source = write_rtlil(case, directory)
    return Simulation(source, case.name, interface_of(case.unit), directory)


def rows_of_all_lengths(case: Case, rows: int, seed: int = 0) -> Vectors:
    """One stream of rows of every length, the longest also first, with the same constants."""
    lengths = [case.row_length, *case.lengths]
    return joined(
        [case.random_vectors(np.random.default_rng(seed), rows, length) for length in lengths]
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_the_operation(case, tmp_path):
    unit = simulation(case, tmp_path)
    for seed, (input_stall, output_stall) in enumerate(STALLS):
        vectors = rows_of_all_lengths(case, 20, seed)
        found = unit.run(vectors, seed=seed, input_stall=input_stall, output_stall=output_stall)
        assert found.different == 0


def test_a_difference_is_found(tmp_path):
    case = E2SoftmaxCase(4, 8)
    vectors = rows_of_all_lengths(case, 5)
    unit = simulation(case, tmp_path)
    vectors.expected[3, 0] ^= 1
    assert unit.run(vectors).different == 1


def test_a_unit_that_stops_is_reported(tmp_path):
    case = E2SoftmaxCase(4, 8)
    vectors = rows_of_all_lengths(case, 5)
    unit = simulation(case, tmp_path)
    with pytest.raises(FullintError, match="stopped after"):
        unit.run(replace(vectors, inputs=[vectors.inputs[0][:-1]]))


def test_rows_follow_each_other_with_few_idle_cycles(tmp_path):
    case = E2SoftmaxCase(4, 64)
    vectors = case.random_vectors(np.random.default_rng(0), 50, 64)
    found = simulation(case, tmp_path).run(vectors)
    assert found.cycles / 50 <= 16 + 4


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs iverilog")
@pytest.mark.parametrize("case", [CASES[0], CASES[8]], ids=str)
def test_exported_test_bench_passes_and_can_fail(case, tmp_path):
    vectors, folder = rows_of_all_lengths(case, 8), tmp_path / "rtl"
    written = export_verilog(case, vectors, folder)
    assert [path.name for path in written[:2]] == [f"{case.name}.v", f"{case.name}_test.v"]

    def verdict() -> str:
        command = ["iverilog", "-g2005-sv", "-o", "test", *(p.name for p in written[:2])]
        subprocess.run(command, cwd=folder, check=True)
        return subprocess.run(["vvp", "test"], cwd=folder, capture_output=True, text=True).stdout

    assert verdict().startswith("PASS")
    lines = (folder / "expected.hex").read_text().splitlines()
    lines[4] = lines[4][:-1] + format(int(lines[4][-1], 16) ^ 1, "x")
    (folder / "expected.hex").write_text("\n".join(lines) + "\n")
    assert verdict().startswith("FAIL: 1 of")
    (folder / "expected.hex").write_text("\n".join(lines[:4]) + "\n")
    assert "FAIL" in verdict()
    (folder / "expected.hex").unlink()
    assert "FAIL" in verdict()
    with pytest.raises(FullintError, match="not empty"):
        export_verilog(case, vectors, folder)


def test_a_failed_export_leaves_nothing(tmp_path, monkeypatch):
    case, folder = E2SoftmaxCase(2, 5), tmp_path / "rtl"
    vectors = rows_of_all_lengths(case, 2)

    def fail(commands: list[str]) -> str:
        raise FullintError("no Yosys")

    monkeypatch.setattr("fullint.hardware.verilog.run_yosys", fail)
    with pytest.raises(FullintError, match="no Yosys"):
        export_verilog(case, vectors, folder)
    assert not folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        E2SoftmaxCase(16, 256),
        Log2SoftmaxCase(16, 256),
        AILayerNormCase(8, 192),
        LayerNormCase(8, 192),
    ],
    ids=lambda case: case.name,
)
def test_a_million_outputs(case, tmp_path):
    """In the sizes that are synthesized; `scripts/verify_hardware.py` compares ten million."""
    verification = Verification(case, tmp_path)
    verification.compare_random(1_000_000)
    assert verification.outputs >= 1_000_000 and verification.different == 0
