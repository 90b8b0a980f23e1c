"""Compare the hardware units with their NumPy operations on many outputs, and print the counts.

    python scripts/verify_hardware.py out/ --data-dir images/

`out/` is a model saved with the recipe `sole`, whose run on one image is compared whole; then as
many random outputs as asked for, with random constants and stalls. Last, a netlist of gates.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from fullint.cli.model_run import run_model
from fullint.hardware.cases import Case
from fullint.hardware.gate_simulation import RUNS
from fullint.hardware.layer_norm_cases import AILayerNormCase, LayerNormCase
from fullint.hardware.liberty import GATE_EQUIVALENTS, Liberty, read_liberty
from fullint.hardware.softmax_cases import E2SoftmaxCase, Log2SoftmaxCase
from fullint.hardware.unit_in_gates import unit_in_gates
from fullint.hardware.verification import Verification
from fullint.hardware.workload import ModelRun

ROWS_OF_GATES = 4 * RUNS


def compare(case: Case, run: ModelRun, outputs: int, directory: Path) -> str:
    """One row of the table, for the unit in CXXRTL."""
    verification = Verification(case, directory)
    verification.compare_run(run)
    real = verification.outputs
    verification.compare_random(outputs)
    return (
        f"| {case.name} | {case.lanes} | {real:,} | {verification.outputs - real:,} "
        f"| {verification.cycles:,} | {verification.different} |"
    )


def compare_gates(case: Case, library: Liberty, directory: Path) -> str:
    """One row of the table, for the unit in gates, with gated clocks."""
    _, simulation = unit_in_gates(case, library, directory)
    vectors = case.random_vectors(np.random.default_rng(0), ROWS_OF_GATES, case.row_length)
    found = simulation.run(vectors)
    cells = sum(len(cells) for cells in simulation.netlist.cells)
    return f"| {case.name} | {cells:,} | {vectors.outputs:,} | {found.different} |"


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artefact", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--outputs", type=int, default=10_000_000)
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--liberty", type=Path, default=GATE_EQUIVALENTS)
    arguments = parser.parse_args()
    run = run_model(arguments.artefact, arguments.data_dir)
    lanes = arguments.lanes
    cases: list[Case] = [
        E2SoftmaxCase(lanes, 256),
        Log2SoftmaxCase(lanes, 256),
        AILayerNormCase(lanes, 192),
        LayerNormCase(lanes, 192),
    ]
    print("| unit in CXXRTL | lanes | real outputs | random outputs | cycles | beats that differ |")
    print("| --- | --- | --- | --- | --- | --- |")
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            print(compare(case, run, arguments.outputs, Path(folder)), flush=True)
    print("\n| unit in gates | cells | random outputs | beats that differ |")
    print("| --- | --- | --- | --- |")
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            library = read_liberty(arguments.liberty, Path(folder))
            print(compare_gates(case, library, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
