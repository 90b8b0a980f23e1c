"""What units cost in gates, time, clock cycles, energy and accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullint.errors import FullintError
from fullint.hardware.cases import Case, chosen_rows
from fullint.hardware.energy import switching_energy
from fullint.hardware.gate_simulation import RUNS, Activity, GateSimulation
from fullint.hardware.layer_norm_cases import AILayerNormCase, LayerNormCase
from fullint.hardware.liberty import GATE_EQUIVALENTS, Liberty
from fullint.hardware.simulation import Vectors
from fullint.hardware.softmax_cases import E2SoftmaxCase, Log2SoftmaxCase
from fullint.hardware.timing import critical_path
from fullint.hardware.unit_in_gates import unit_in_gates
from fullint.hardware.workload import ModelRun

# Rows one after another in each of the 64 runs of a simulation. A row's energy is the difference
# between a longer and a shorter one: reset, filling and draining are in both.
ROWS_IN_A_RUN = 5
ROWS_IN_THE_SHORTER = 2
SETTINGS_MEASURED = 4


@dataclass(frozen=True)
class UnitReport:
    """One unit in one library.

    Attributes:
        datapath, buffer: gate equivalents.
        area: in the library's unit.
        nanoseconds: critical path; None without OpenSTA or for a library of no process.
        measured_length: elements of the rows that the next two are about.
        cycles_per_row: clock cycles from a row's end to that of the next.
        picojoules_per_row: what gates and their nets use; None for a library of no energies.
    """

    name: str
    lanes: int
    row_length: int
    datapath: float
    buffer: float
    area: float
    nanoseconds: float | None
    measured_length: int
    cycles_per_row: float
    picojoules_per_row: float | None

    @property
    def gate_equivalents(self) -> float:
        """Datapath and buffer together."""
        return self.datapath + self.buffer


def default_cases(lanes: int, row_length: int, channels: int) -> list[Case]:
    """The units that `fullint hardware` compares."""
    return [
        E2SoftmaxCase(lanes, row_length),
        E2SoftmaxCase(lanes, row_length, fraction_bits=2, name="e2softmax_quarter_octaves"),
        E2SoftmaxCase(lanes, row_length, 3, natural=True, name="e2softmax_nats"),
        E2SoftmaxCase(lanes, row_length, output_bits=4, name="e2softmax_log2"),
        E2SoftmaxCase(lanes, row_length, known_maximum=True, name="e2softmax_known_maximum"),
        Log2SoftmaxCase(lanes, row_length),
        AILayerNormCase(lanes, channels),
        AILayerNormCase(lanes, channels, ranges=2, name="ailayernorm_two_ranges"),
        LayerNormCase(lanes, channels),
    ]


def characterize(
    case: Case,
    liberty: Liberty,
    directory: Path,
    *,
    run: ModelRun | None = None,
    delay: int,
    clock_gating: bool,
) -> UnitReport:
    """Synthesize a unit, time its netlist, and simulate the gates: with a model's rows, or random.

    Raises:
        FullintError: a tool is missing or fails, or the gates differ from the unit's operation.
    """
    gates, simulation = unit_in_gates(
        case, liberty, directory, delay=delay, clock_gating=clock_gating
    )
    joules, cycles = [], []
    length, sets = _measured_rows(case, run)
    for vectors in sets:
        longer, shorter = (
            _activity(case, simulation, part) for part in (vectors, _first_rows(vectors))
        )
        ends = longer.beat_cycles[len(longer.beat_cycles) // ROWS_IN_A_RUN - 1 :]
        cycles.append((ends[-1] - ends[0]) / (ROWS_IN_A_RUN - 1))
        toggles = longer.toggles - shorter.toggles
        joules.append(switching_energy(simulation.netlist, liberty, toggles))
    known = [energy for energy in joules if energy is not None]
    more_rows = RUNS * (ROWS_IN_A_RUN - ROWS_IN_THE_SHORTER)
    timed = liberty.path != GATE_EQUIVALENTS.resolve()
    return UnitReport(
        name=case.name,
        lanes=case.lanes,
        row_length=case.row_length,
        datapath=gates.datapath,
        buffer=gates.buffer,
        area=gates.area,
        nanoseconds=critical_path(gates.netlist, case.name, liberty, directory) if timed else None,
        measured_length=length,
        cycles_per_row=float(np.mean(cycles)),
        picojoules_per_row=float(np.mean(known)) / more_rows * 1e12 if known else None,
    )


def _activity(case: Case, simulation: GateSimulation, vectors: Vectors) -> Activity:
    activity = simulation.run(vectors)
    if activity.different:
        raise FullintError(f"{case.name}: {activity.different} beats differ in its gates")
    return activity


def _first_rows(vectors: Vectors) -> Vectors:
    """The rows with which every run begins."""
    rows = np.arange(vectors.rows).reshape(RUNS, ROWS_IN_A_RUN)
    return chosen_rows(vectors, rows[:, :ROWS_IN_THE_SHORTER].ravel())


def _measured_rows(case: Case, run: ModelRun | None) -> tuple[int, list[Vectors]]:
    """Length of the rows, and some of them for every one of a few settings."""
    rng, rows = np.random.default_rng(0), RUNS * ROWS_IN_A_RUN
    if run is None:
        return case.row_length, [case.random_vectors(rng, rows, case.row_length)]
    found = case.model_vectors(run)
    some = [found[index] for index in range(0, len(found), -(-len(found) // SETTINGS_MEASURED))]
    chosen = [chosen_rows(vectors, rng.integers(0, vectors.rows, rows)) for vectors in some]
    return chosen[0].outputs // rows, chosen
