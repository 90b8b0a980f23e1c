"""Compiled simulation: a unit as C++ (CXXRTL), driven and compared by `simulation.cpp`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullint.errors import FullintError
from fullint.hardware.streams import Field, Interface, Stream
from fullint.hardware.yosys import cxxrtl_headers, run_yosys

HARNESS = Path(__file__).with_name("simulation.cpp")


@dataclass(frozen=True)
class Vectors:
    """Beats for a unit: what it is sent and what it must answer.

    Attributes:
        inputs: for each input stream, (beats, words) uint32: every field in whole words.
        expected, mask: (beats, words) of the output stream; only bits set in the mask count.
        settings: values of the unit's constant inputs.
        rows, outputs: how many rows the expected beats hold, and how many elements.
    """

    inputs: Sequence[np.ndarray]
    expected: np.ndarray
    mask: np.ndarray
    settings: Mapping[str, int]
    rows: int
    outputs: int


@dataclass(frozen=True)
class SimulationResult:
    """Clock cycles of a run, and how many of its output beats differed from what was expected."""

    cycles: int
    beats: int
    different: int


class Simulation:
    """A unit compiled for simulation.

    Args:
        rtlil: the design in Yosys' intermediate language, top module `top`.
        interface: the unit's ports.
        directory: where the sources and the program go.
        optimization: of the C++ compiler: 0 is soon built, 2 soon run.

    Raises:
        FullintError: there is no C++ compiler, or what it says.
    """

    def __init__(
        self,
        rtlil: Path,
        top: str,
        interface: Interface,
        directory: Path,
        *,
        optimization: int = 0,
    ) -> None:
        self._directory = directory
        self._interface = interface
        directory.mkdir(parents=True, exist_ok=True)
        run_yosys(
            [
                f"read_rtlil {rtlil}",
                f"hierarchy -top {top}",
                f"write_cxxrtl -g0 -namespace unit {directory / 'unit.cpp'}",
            ]
        )
        (directory / "unit_ports.h").write_text(_ports_header(interface, top))
        self._program = directory / "simulation"
        _compile(directory, self._program, optimization)

    def run(
        self, vectors: Vectors, *, seed: int = 0, input_stall: float = 0, output_stall: float = 0
    ) -> SimulationResult:
        """Send all beats and compare all answers; streams stall with the given probabilities.

        Raises:
            FullintError: the unit stops answering.
        """
        paths = [self._directory / f"{name}.bin" for name in ("expected", "mask")]
        for path, words in zip(paths, (vectors.expected, vectors.mask), strict=True):
            words.astype("<u4").tofile(path)
        for stream, words in zip(self._interface.inputs, vectors.inputs, strict=True):
            paths.append(self._directory / f"{stream.name}.bin")
            words.astype("<u4").tofile(paths[-1])
        numbers = [seed, *(round(256 * stall) for stall in (input_stall, output_stall))]
        numbers += [_setting(field, vectors.settings) for field in self._interface.settings]
        finished = subprocess.run(
            [self._program, *map(str, numbers), *paths], capture_output=True, text=True, check=True
        )
        cycles, beats, different = map(int, finished.stdout.split())
        if beats != len(vectors.expected):
            raise FullintError(
                f"the unit stopped after {beats} of {len(vectors.expected)} output beats"
            )
        return SimulationResult(cycles, beats, different)


def _compile(directory: Path, program: Path, optimization: int) -> None:
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        raise FullintError("simulating a unit needs a C++ compiler; set CXX to one")
    headers = [f"-I{cxxrtl_headers()}", f"-I{directory}"]
    command = [compiler, "-std=c++17", f"-O{optimization}", *headers]
    finished = subprocess.run(
        [*command, str(HARNESS), "-o", str(program)], capture_output=True, text=True, check=False
    )
    if finished.returncode:
        raise FullintError(f"the C++ compiler failed: {finished.stderr.strip().splitlines()[0]}")


def _ports_header(interface: Interface, top: str) -> str:
    """The functions through which the harness reaches the unit's ports."""
    inputs, output = interface.inputs, interface.output
    drive = "".join(
        f"    case {index}: {_calls('load', stream)} break;\n"
        for index, stream in enumerate(inputs)
    )
    valid = "".join(
        f"    case {index}: unit.{_port(f'{stream.name}_valid')}.set<bool>(value); break;\n"
        for index, stream in enumerate(inputs)
    )
    ready = "".join(
        f"    case {index}: return unit.{_port(f'{stream.name}_ready')}.get<bool>();\n"
        for index, stream in enumerate(inputs)
    )
    setting = "".join(
        f"  unit.{_port(field.port)}.set<uint64_t>(std::strtoull(values[{index}], nullptr, 10));\n"
        for index, field in enumerate(interface.settings)
    )
    return f"""\
using Unit = unit::p_{_escaped(top)};
constexpr int kSettings = {len(interface.settings)};
constexpr int kInputs = {len(inputs)};
constexpr size_t kInputWords[] = {{{", ".join(str(stream.words) for stream in inputs)}}};
constexpr size_t kOutputWords = {output.words};

static void apply_settings(Unit& unit, char** values) {{
  (void)unit, (void)values;
{setting}}}
static void drive(Unit& unit, int stream, const uint32_t* words) {{
  switch (stream) {{
{drive}  }}
}}
static void set_valid(Unit& unit, int stream, bool value) {{
  switch (stream) {{
{valid}  }}
}}
static bool input_ready(Unit& unit, int stream) {{
  switch (stream) {{
{ready}  }}
  return false;
}}
static void set_output_ready(Unit& unit, bool value) {{
  unit.{_port(f"{output.name}_ready")}.set<bool>(value);
}}
static bool output_valid(Unit& unit) {{ return unit.{_port(f"{output.name}_valid")}.get<bool>(); }}
static void read_output(Unit& unit, uint32_t* words) {{ {_calls("store", output)} }}
"""


def _calls(function: str, stream: Stream) -> str:
    return " ".join(f"{function}(unit.{_port(field.port)}, words);" for field in stream.fields)


def _setting(field: Field, settings: Mapping[str, int]) -> int:
    return settings[field.port] & ((1 << field.width) - 1)


def _port(name: str) -> str:
    return f"p_{_escaped(name)}"


def _escaped(name: str) -> str:
    return name.replace("_", "__")
