"""A unit synthesized, and its gates ready to be simulated."""

from __future__ import annotations

from pathlib import Path

from fullint.hardware.cases import Case
from fullint.hardware.gate_simulation import GateSimulation
from fullint.hardware.liberty import Liberty
from fullint.hardware.netlist import read_netlist
from fullint.hardware.streams import interface_of
from fullint.hardware.synthesis import DEFAULT_DELAY, Synthesis, synthesize
from fullint.hardware.verilog import write_rtlil


def unit_in_gates(
    case: Case,
    liberty: Liberty,
    directory: Path,
    *,
    delay: int = DEFAULT_DELAY,
    clock_gating: bool = True,
) -> tuple[Synthesis, GateSimulation]:
    """What synthesis says of a case's unit, and a simulation of its netlist; files to `directory`.

    Raises:
        FullintError: a tool is missing or fails.
    """
    gates = synthesize(
        write_rtlil(case, directory),
        case.name,
        liberty,
        directory,
        delay=delay,
        clock_gating=clock_gating,
    )
    netlist = read_netlist(gates.netlist_rtlil, case.name, liberty, directory)
    return gates, GateSimulation(netlist, interface_of(case.unit))
