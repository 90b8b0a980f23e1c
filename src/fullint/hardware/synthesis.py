"""From a unit to gates of a cell library: area, critical path, netlist."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fullint.hardware.liberty import Liberty
from fullint.hardware.yosys import run_yosys

BUFFER_MODULE = "row_buffer"
# Mapping for speed: choices of structure kept until cells are chosen, then sized for the delay.
ABC_SCRIPT = """\
strash
&get -n
&st
&dch
&nf
&put
buffer -c
topo
upsize -D {delay}
dnsize -D {delay}
stime -p
"""
# Cells between power domains and for probes, in libraries that do not say themselves that ordinary
# logic must not use them.
UNUSED_CELLS = ("*lpflow*", "*probe*")
DEFAULT_DELAY = 4500
FAST_ADDERS = "+/choices/kogge-stone.v"


@dataclass(frozen=True)
class Synthesis:
    """A unit in gates.

    Attributes:
        datapath, buffer: areas in gate equivalents, the row buffer apart.
        area: of both, in the library's unit.
        sequential: share of the area in registers.
        netlist: Verilog of the gates.
        netlist_rtlil: the same in Yosys' intermediate language.
    """

    datapath: float
    buffer: float
    area: float
    sequential: float
    netlist: Path
    netlist_rtlil: Path

    @property
    def gate_equivalents(self) -> float:
        """Datapath and buffer together."""
        return self.datapath + self.buffer


def synthesize(
    rtlil: Path,
    top: str,
    liberty: Liberty,
    directory: Path,
    *,
    delay: int = DEFAULT_DELAY,
    clock_gating: bool = True,
) -> Synthesis:
    """Yosys' `synth` with fast adders, then `abc` on the library, for a delay in picoseconds.

    Registers with an enable get a gated clock where the library has the cell for it and
    `clock_gating` asks for it, else a multiplexer each. No wires are modelled.

    Raises:
        FullintError: with Yosys' message.
    """
    constraints, script = directory / "constraints", directory / "abc.script"
    script.write_text(ABC_SCRIPT.format(delay=delay))
    driver = f"set_driving_cell {liberty.driver}\n" if liberty.driver else ""
    constraints.write_text(f"{driver}set_load 20.0 [all_outputs]\n")
    statistics = directory / f"{top}.json"
    netlist, netlist_rtlil = directory / f"{top}.netlist.v", directory / f"{top}.netlist.il"
    gating = [f"clockgate -liberty {liberty.path} -min_net_size 4"] if clock_gating else []
    unused = " ".join(f"-dont_use {pattern}" for pattern in UNUSED_CELLS)
    run_yosys(
        [
            f"read_rtlil {rtlil}",
            f"hierarchy -top {top}",
            f"setattr -mod -set keep_hierarchy 1 *{BUFFER_MODULE}*",
            f"synth -flatten -top {top} -noabc -extra-map {FAST_ADDERS}",
            *gating,
            f"dfflibmap -liberty {liberty.path}",
            "opt",
            f"abc -liberty {liberty.path} -D {delay} -constr {constraints} {unused} "
            f"-script {script}",
            "opt_clean",
            "setundef -zero",
            "clean",
            f"tee -q -o {statistics} stat -liberty {liberty.path} -json",
            f"write_rtlil {netlist_rtlil}",
            f"write_verilog -noattr -noexpr -simple-lhs {netlist}",
        ]
    )
    # OpenSTA does not read `wire signed`; in a netlist of gates the word means nothing.
    netlist.write_text(netlist.read_text().replace(" signed ", " "))
    return _read_statistics(statistics, liberty, netlist, netlist_rtlil)


def _read_statistics(path: Path, liberty: Liberty, netlist: Path, netlist_rtlil: Path) -> Synthesis:
    found = json.loads(path.read_text())
    whole = found["design"]
    buffers: Sequence[float] = [
        module["area"] for name, module in found["modules"].items() if BUFFER_MODULE in name
    ]
    area, buffer = float(whole["area"]), float(sum(buffers))
    return Synthesis(
        datapath=(area - buffer) / liberty.gate_equivalent,
        buffer=buffer / liberty.gate_equivalent,
        area=area,
        sequential=float(whole.get("sequential_area", 0)) / area,
        netlist=netlist,
        netlist_rtlil=netlist_rtlil,
    )
