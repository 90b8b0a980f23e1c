"""The units equal their NumPy operations, bit for bit, in a compiled simulation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("amaranth", reason="needs the extra 'hardware'")
pytest.importorskip("pyosys", reason="needs the extra 'hardware'")
if shutil.which("c++") is None:
    pytest.skip("needs a C++ compiler", allow_module_level=True)

from fullint.errors import FullintError
from fullint.hardware.cases import (
    AILayerNormCase,
    Case,
    E2SoftmaxCase,
    LayerNormCase,
    Log2SoftmaxCase,
    joined,
)
from fullint.hardware.liberty import GATE_EQUIVALENTS, read_liberty
from fullint.hardware.simulation import Simulation, SimulationResult, Vectors
from fullint.hardware.streams import interface_of
from fullint.hardware.synthesis import synthesize
from fullint.hardware.verilog import export_verilog, write_rtlil

STALLS = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.4)]
SOFTMAX_CASES = [
    E2SoftmaxCase(4, 21),
    E2SoftmaxCase(2, 9, natural=True),
    E2SoftmaxCase(3, 10, fraction_bits=0),
    E2SoftmaxCase(1, 5, output_bits=4),
    E2SoftmaxCase(6, 13, output_bits=4, natural=True, fraction_bits=2, known_maximum=True),
    Log2SoftmaxCase(4, 13),
    Log2SoftmaxCase(1, 3),
]
LAYER_NORM_CASES = [
    AILayerNormCase(2, 12),
    AILayerNormCase(3, 10, ranges=3),
    LayerNormCase(2, 12),
    LayerNormCase(3, 10),
]


def simulation(case: Case, vectors: Vectors, directory: Path, optimization: int = 0) -> Simulation:
    source = write_rtlil(case, directory)
    return Simulation(
        source,
        case.name,
        interface_of(case.unit),
        vectors.settings,
        directory,
        optimization=optimization,
    )


def random_rows(case: Case, rows: int, seed: int = 0) -> Vectors:
    """Rows of every length that the unit takes (a softmax one), extremes first."""
    rng = np.random.default_rng(seed)
    lengths = [case.row_length]
    if isinstance(case, (E2SoftmaxCase, Log2SoftmaxCase)):
        lengths = [case.row_length, 1, case.row_length, *range(2, case.row_length)]
        parts = [case.random_vectors(rng, rows, length) for length in lengths]
        return joined(parts)
    return case.random_vectors(rng, rows, case.row_length)


@pytest.mark.parametrize("case", [*SOFTMAX_CASES, *LAYER_NORM_CASES], ids=str)
def test_equals_the_operation(case, tmp_path):
    vectors = random_rows(case, 20)
    unit = simulation(case, vectors, tmp_path)
    for seed, (input_stall, output_stall) in enumerate(STALLS):
        found = unit.run(vectors, seed=seed, input_stall=input_stall, output_stall=output_stall)
        assert found.different == 0


def test_a_difference_is_found(tmp_path):
    case = E2SoftmaxCase(4, 8)
    vectors = random_rows(case, 5)
    unit = simulation(case, vectors, tmp_path)
    vectors.expected[3, 0] ^= 1
    assert unit.run(vectors).different == 1


def test_a_unit_that_stops_is_reported(tmp_path):
    case = E2SoftmaxCase(4, 8)
    vectors = random_rows(case, 5)
    unit = simulation(case, vectors, tmp_path)
    missing = Vectors([vectors.inputs[0][:-1]], vectors.expected, vectors.mask, {}, vectors.outputs)
    with pytest.raises(FullintError, match="stopped after"):
        unit.run(missing)


def test_rows_follow_each_other_with_two_idle_cycles(tmp_path):
    case = E2SoftmaxCase(4, 64)
    vectors = case.random_vectors(np.random.default_rng(0), 50, 64)
    found = simulation(case, vectors, tmp_path).run(vectors)
    assert found.cycles / 50 <= 16 + 4


@pytest.mark.parametrize(
    "case",
    [E2SoftmaxCase(2, 5), pytest.param(LAYER_NORM_CASES[0], marks=pytest.mark.slow)],
    ids=str,
)
def test_netlist_of_gates_equals_the_operation(case, tmp_path):
    """Synthesized without gated clocks, and simulated with the cells' own functions."""
    library = read_liberty(GATE_EQUIVALENTS, tmp_path)
    gates = synthesize(
        write_rtlil(case, tmp_path), case.name, library, tmp_path, clock_gating=False
    )
    vectors = random_rows(case, 8)
    unit = Simulation(
        gates.netlist_rtlil,
        case.name,
        interface_of(case.unit),
        vectors.settings,
        tmp_path / "gates",
        preparation=[
            f"read_liberty -ignore_miss_func -ignore_miss_dir {library.path}",
            "delete CLKGATE",
            "techmap -autoproc -map +/simcells.v",
            "flatten",
        ],
    )
    found = unit.run(vectors, input_stall=0.3, output_stall=0.3)
    assert found == SimulationResult(found.cycles, len(vectors.expected), 0)


def test_area_is_split_and_gated_clocks_save_some(tmp_path):
    case = E2SoftmaxCase(4, 32)
    source, library = write_rtlil(case, tmp_path), read_liberty(GATE_EQUIVALENTS, tmp_path)
    gated = synthesize(source, case.name, library, tmp_path)
    plain = synthesize(source, case.name, library, tmp_path, clock_gating=False)
    words = 8 * (4 * 4 + 9)  # bits of the row buffer
    assert gated.buffer > 5.33 * words
    assert gated.gate_equivalents < plain.gate_equivalents
    assert abs(gated.area - gated.gate_equivalents) < 1
    assert 0.3 < gated.sequential < 0.8


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs iverilog")
@pytest.mark.parametrize("case", [SOFTMAX_CASES[0], LAYER_NORM_CASES[0]], ids=str)
def test_exported_test_bench_passes_and_can_fail(case, tmp_path):
    import subprocess

    vectors, folder = random_rows(case, 8), tmp_path / "rtl"
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
    with pytest.raises(FullintError, match="not empty"):
        export_verilog(case, vectors, folder)


def test_unfit_libraries_are_refused(tmp_path):
    with pytest.raises(FullintError, match="there is no cell library"):
        read_liberty(tmp_path / "absent.lib", tmp_path)
    (tmp_path / "empty.lib").write_text("library (x) {}")
    with pytest.raises(FullintError, match="no cell whose name"):
        read_liberty(tmp_path / "empty.lib", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        E2SoftmaxCase(16, 256),
        Log2SoftmaxCase(16, 256),
        AILayerNormCase(8, 192),
        LayerNormCase(8, 192),
    ],
    ids=["e2softmax", "log2_softmax", "ailayernorm", "layer_norm"],
)
def test_ten_million_outputs(case, tmp_path):
    """In the sizes that are synthesized; every chunk with other rows and other stalls."""
    rng, compared, unit = np.random.default_rng(1), 0, None
    while compared < 10_000_000:
        length = case.row_length
        if isinstance(case, (E2SoftmaxCase, Log2SoftmaxCase)) and compared % 3 == 0:
            length = int(rng.integers(1, case.row_length + 1))
        vectors = case.random_vectors(rng, 2000, length)
        unit = unit or simulation(case, vectors, tmp_path, optimization=1)
        stalls = rng.uniform(0, 0.5, 2)
        seed = int(rng.integers(2**20))
        found = unit.run(
            vectors, seed=seed, input_stall=float(stalls[0]), output_stall=float(stalls[1])
        )
        assert found.different == 0
        compared += vectors.outputs
