"""Static timing of a netlist with OpenSTA, where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from fullint.errors import FullintError
from fullint.hardware.liberty import Liberty

_ARRIVAL = re.compile(r"^\s*(-?[0-9.]+)\s+data arrival time", re.MULTILINE)
_SETUP = re.compile(r"^\s*(-?[0-9.]+)\s+-?[0-9.]+\s+library setup time", re.MULTILINE)


def critical_path(netlist: Path, top: str, liberty: Liberty, directory: Path) -> float | None:
    """Nanoseconds of the slowest path, register setup included; None without OpenSTA (`sta`).

    Inputs arrive with the clock, outputs are taken at its next edge; no wires, no clock skew.

    Raises:
        FullintError: OpenSTA finds no path.
    """
    program = shutil.which("sta")
    if program is None:
        return None
    script = directory / "timing.tcl"
    script.write_text(
        f"""\
read_liberty {liberty.path}
read_verilog {netlist}
link_design {top}
create_clock -name clk -period 100.0 [get_ports clk]
set_input_delay 0 -clock clk [all_inputs -no_clocks]
set_output_delay 0 -clock clk [all_outputs]
report_checks -path_delay max
exit
""".replace("[all_inputs -no_clocks]", "$inputs").replace(
            "set_input_delay",
            "set inputs {}\n"
            "foreach port [all_inputs] "
            '{ if {[get_property $port full_name] != "clk"} { lappend inputs $port } }\n'
            "set_input_delay",
        )
    )
    finished = subprocess.run(
        [program, "-no_splash", "-exit", str(script)], capture_output=True, text=True, check=False
    )
    arrival = _ARRIVAL.search(finished.stdout)
    if arrival is None:
        first = (finished.stdout + finished.stderr).strip().splitlines()[:1]
        raise FullintError(f"OpenSTA found no path: {' '.join(first)}")
    setup = _SETUP.search(finished.stdout)
    return float(arrival[1]) - (float(setup[1]) if setup else 0.0)
