"""Proof that a unit is its NumPy operation: many outputs compared in a compiled simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fullint.hardware.cases import Case
from fullint.hardware.simulation import Simulation, SimulationResult
from fullint.hardware.streams import interface_of
from fullint.hardware.verilog import write_rtlil
from fullint.hardware.workload import ModelRun

_ROWS_AT_ONCE = 2000
_LARGEST_STALL = 0.5


class Verification:
    """A unit in simulation, with counts of what has been compared.

    Attributes:
        outputs: elements compared.
        different: beats that differed.
        cycles: of all runs.
    """

    def __init__(self, case: Case, directory: Path, *, optimization: int = 1) -> None:
        self._case = case
        source = write_rtlil(case, directory)
        self._simulation = Simulation(
            source, case.name, interface_of(case.unit), directory, optimization=optimization
        )
        self.outputs = self.different = self.cycles = 0

    def compare_random(self, outputs: int, seed: int = 0) -> None:
        """Compare at least so many outputs: all kinds of rows, lengths, constants and stalls."""
        rng, compared = np.random.default_rng(seed), 0
        lengths = [self._case.row_length, 1, self._case.row_length]
        while compared < outputs:
            length = lengths.pop() if lengths else int(rng.choice(self._case.lengths))
            if length not in self._case.lengths:
                continue
            vectors = self._case.random_vectors(rng, _ROWS_AT_ONCE, length)
            stalls = rng.uniform(0, _LARGEST_STALL, 2)
            found = self._simulation.run(
                vectors,
                seed=int(rng.integers(2**20)),
                input_stall=float(stalls[0]),
                output_stall=float(stalls[1]),
            )
            self._add(found, vectors.outputs)
            compared += vectors.outputs

    def compare_run(self, run: ModelRun) -> None:
        """Compare all rows of a model's run."""
        for index, vectors in enumerate(self._case.model_vectors(run)):
            found = self._simulation.run(vectors, seed=index, input_stall=0.1, output_stall=0.1)
            self._add(found, vectors.outputs)

    def _add(self, found: SimulationResult, outputs: int) -> None:
        self.outputs += outputs
        self.different += found.different
        self.cycles += found.cycles
