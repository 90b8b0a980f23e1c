"""Units as gates of a library: equal to their operation, with an area, toggles and energy."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("amaranth", reason="needs the extra 'hardware'")
pytest.importorskip("pyosys", reason="needs the extra 'hardware'")

from fullint.errors import FullintError
from fullint.hardware.energy import switching_energy
from fullint.hardware.gate_simulation import GateSimulation
from fullint.hardware.layer_norm_cases import AILayerNormCase, LayerNormCase
from fullint.hardware.liberty import GATE_EQUIVALENTS, ClockGate, read_liberty
from fullint.hardware.netlist import Cells, Netlist
from fullint.hardware.report import characterize
from fullint.hardware.softmax_cases import E2SoftmaxCase, Log2SoftmaxCase
from fullint.hardware.synthesis import synthesize
from fullint.hardware.unit_in_gates import unit_in_gates
from fullint.hardware.verilog import write_rtlil

# Two cells whose energies are easy to follow; loads in fF, so energies in fJ.
LIBRARY = """
library (two) {
  /* a comment with { */
  capacitive_load_unit (1, ff);
  nom_voltage : 2.0;
  power_lut_template (by_load) {
    variable_1 : total_output_net_capacitance;
    variable_2 : input_transition_time;
    index_1 ("1, 3");
    index_2 ("0.0, 0.2");
  }
  cell (NAND2) { area : 4; pin (A) { direction : input; capacitance : 1; } }
  cell (INV) {
    area : 2;
    pin (A) { direction : input; capacitance : 2.0; }
    pin (Y) {
      direction : output;
      function : "!A";
      internal_power () {
        related_pin : "A";
        rise_power (by_load) { values ("1, 2", \\
                                       "3, 4"); }
        fall_power (scalar) { values ("5"); }
      }
    }
  }
}
"""


def gate_simulation(case, tmp_path: Path, *, clock_gating: bool = True) -> GateSimulation:
    library = read_liberty(GATE_EQUIVALENTS, tmp_path)
    _, simulation = unit_in_gates(case, library, tmp_path, clock_gating=clock_gating)
    assert bool(simulation.netlist.clock_gates) == clock_gating
    return simulation


@pytest.mark.parametrize(
    ("case", "clock_gating"),
    [
        (E2SoftmaxCase(2, 5), True),
        (E2SoftmaxCase(2, 5), False),
        pytest.param(Log2SoftmaxCase(1, 4), True, marks=pytest.mark.slow),
        pytest.param(AILayerNormCase(2, 6), True, marks=pytest.mark.slow),
        pytest.param(LayerNormCase(1, 4), True, marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_netlist_of_gates_equals_the_operation(case, clock_gating, tmp_path):
    simulation = gate_simulation(case, tmp_path, clock_gating=clock_gating)
    for length in case.lengths:
        vectors = case.random_vectors(np.random.default_rng(length), 64 * 4, length)
        assert simulation.run(vectors).different == 0


def test_differences_of_gates_are_counted(tmp_path):
    case = E2SoftmaxCase(2, 5)
    vectors = case.random_vectors(np.random.default_rng(0), 64, 5)
    vectors.expected[[0, 3, 100], 0] ^= 1
    assert gate_simulation(case, tmp_path).run(vectors).different == 3


def test_quiet_inputs_toggle_less(tmp_path):
    simulation = gate_simulation(E2SoftmaxCase(2, 5), tmp_path)
    case, rng = E2SoftmaxCase(2, 5), np.random.default_rng(0)
    quiet = simulation.run(case.vectors(np.full((64 * 4, 5), 7)))
    random = simulation.run(case.vectors(rng.integers(0, 256, (64 * 4, 5))))
    assert quiet.beat_cycles == random.beat_cycles
    assert quiet.toggles.sum() < 0.7 * random.toggles.sum()
    clock = simulation.netlist.ports["clk"][0]
    assert random.toggles[clock] == 2 * 64 * random.beat_cycles[-1]


def test_runs_share_the_beats_evenly(tmp_path):
    case = E2SoftmaxCase(2, 5)
    with pytest.raises(FullintError, match="cannot share 64 runs"):
        gate_simulation(case, tmp_path).run(case.random_vectors(np.random.default_rng(0), 9, 5))


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


def test_a_tight_delay_costs_area_and_no_cell_between_power_domains_is_used(tmp_path, real_data):
    case = E2SoftmaxCase(1, 8)
    library = read_liberty(next((real_data / "liberty").glob("*.lib.gz")), tmp_path)
    source = write_rtlil(case, tmp_path)
    tight = synthesize(source, case.name, library, tmp_path, delay=500)
    assert "lpflow" not in tight.netlist.read_text()
    assert tight.area > synthesize(source, case.name, library, tmp_path, delay=9000).area


def test_energy_is_charge_and_what_cells_use_inside(tmp_path):
    (tmp_path / "two.lib").write_text(LIBRARY)
    library = read_liberty(tmp_path / "two.lib", tmp_path)
    # Net 2 drives two inverters; net 3 drives a third, nets 4 and 5 nothing.
    inverters = Cells("INV", {"A": np.array([2, 2, 3]), "Y": np.array([3, 4, 5])})
    netlist = Netlist(6, {}, [inverters], {}, {})
    toggles = np.array([0, 0, 10, 100, 1000, 0])
    # At a slew of 0.1 the rising energy is 1.5 fJ up to 1 fF, and 2.5 fJ at 2 fF; falling 5 fJ.
    inside = 100 * (2.5 + 5) / 2 + 1000 * (1.5 + 5) / 2
    charge = (10 * 4.0 + 100 * 2.0) * 2.0**2 / 2
    found = switching_energy(netlist, library, toggles)
    assert found == pytest.approx((inside + charge) * 1e-15)


def test_a_library_of_no_process_has_no_energy_and_no_critical_path(tmp_path):
    library = read_liberty(GATE_EQUIVALENTS, tmp_path)
    case = E2SoftmaxCase(2, 8)
    report = characterize(case, library, tmp_path, delay=4000, clock_gating=True)
    assert (report.nanoseconds, report.picojoules_per_row) == (None, None)
    assert report.measured_length == 8
    assert 4 <= report.cycles_per_row <= 4 + 4


def test_clock_gates_are_found(tmp_path):
    gates = read_liberty(GATE_EQUIVALENTS, tmp_path).clock_gates()
    assert gates == {"CLKGATE": ClockGate("CK", "EN", "GCK")}


def test_unfit_libraries_are_refused(tmp_path):
    with pytest.raises(FullintError, match="there is no cell library"):
        read_liberty(tmp_path / "absent.lib", tmp_path)
    (tmp_path / "damaged.lib.gz").write_bytes(gzip.compress(b"library (x) {}")[:-9])
    with pytest.raises(FullintError, match="cannot be unpacked"):
        read_liberty(tmp_path / "damaged.lib.gz", tmp_path)
    (tmp_path / "empty.lib").write_text("library (x) {}")
    with pytest.raises(FullintError, match="no cell whose name"):
        read_liberty(tmp_path / "empty.lib", tmp_path)
