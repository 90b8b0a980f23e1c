"""A netlist of gates as arrays: which nets every cell joins, and what it computes."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fullint.errors import FullintError
from fullint.hardware.liberty import ClockGate, Liberty
from fullint.hardware.yosys import run_yosys

# Net 0 is always low, net 1 always high; Yosys numbers the others from 2.
_CONSTANTS = {"0": 0, "1": 1, "x": 0}
_GATES: Mapping[str, Callable[..., np.ndarray]] = {
    "$_NOT_": operator.invert,
    "$_AND_": operator.and_,
    "$_OR_": operator.or_,
    "$_XOR_": operator.xor,
    "$_ANDNOT_": lambda a, b: a & ~b,
}
_REGISTER = "$_DFF_P_"
# The name under which a function finds a register's state among the values of its pins.
STATE = "state"

# From the values at a cell's pins, all bits of a word apart, to one of its results.
Function = Callable[[Mapping[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class CellFunction:
    """What a cell computes.

    Attributes:
        outputs: each output pin's function of the input pins and, of a register, of its state.
        following: a register's next state; None for a gate.
        clock: a register's clock pin; None for a gate.
    """

    outputs: Mapping[str, Function]
    following: Function | None
    clock: str | None


@dataclass(frozen=True)
class Cells:
    """Cells of a kind with the same pins connected: the net at each pin, arrays (cells)."""

    kind: str
    pins: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        """How many there are."""
        return len(next(iter(self.pins.values())))


@dataclass(frozen=True)
class Netlist:
    """A flat netlist.

    Attributes:
        nets: how many there are.
        ports: for each port its nets, the lowest bit first.
        cells: all, clock gates included.
        functions: of the kinds that are not clock gates.
        clock_gates: the kinds that are.
    """

    nets: int
    ports: Mapping[str, Sequence[int]]
    cells: Sequence[Cells]
    functions: Mapping[str, CellFunction]
    clock_gates: Mapping[str, ClockGate]


def read_netlist(rtlil: Path, top: str, liberty: Liberty, directory: Path) -> Netlist:
    """The gates of `top` and what they compute, hierarchy dissolved.

    Raises:
        FullintError: a cell that is neither gate, nor plain register, nor clock gate.
    """
    design, library = directory / f"{top}.gates.json", directory / "cells.json"
    flatten = ["setattr -mod -unset keep_hierarchy *", "flatten -noscopeinfo"]
    run_yosys([f"read_rtlil {rtlil}", *flatten, f"write_json {design}"])
    reading = f"read_liberty -ignore_miss_func -ignore_miss_dir {liberty.path}"
    run_yosys([reading, f"write_json {library}"])
    module = json.loads(design.read_text())["modules"][top]
    models = json.loads(library.read_text())["modules"]
    alike: dict[tuple[str, ...], list[list[int]]] = {}
    for cell in module["cells"].values():
        connected = {pin: _net(bits[0]) for pin, bits in cell["connections"].items() if bits}
        alike.setdefault((cell["type"], *connected), []).append(list(connected.values()))
    cells = [
        Cells(kind, dict(zip(pins, np.array(nets).T, strict=True)))
        for (kind, *pins), nets in alike.items()
    ]
    ports = {name: [_net(bit) for bit in port["bits"]] for name, port in module["ports"].items()}
    used = [max(nets) for nets in ports.values()]
    used += [int(nets.max()) for kind in cells for nets in kind.pins.values()]
    kinds = {kind for kind, *_ in alike}
    gates = {kind: gate for kind, gate in liberty.clock_gates().items() if kind in kinds}
    functions = {kind: _function(kind, models) for kind in kinds - gates.keys()}
    return Netlist(max(used) + 1, ports, cells, functions, gates)


def _net(bit: int | str) -> int:
    return _CONSTANTS[bit] if isinstance(bit, str) else bit


def _function(kind: str, models: Mapping[str, Any]) -> CellFunction:
    """A cell's function from its model, which is gates of Yosys' own and at most one register."""
    if kind not in models:
        raise FullintError(f"the library does not say what its cell {kind} computes")
    ports, parts = models[kind]["ports"], list(models[kind]["cells"].values())
    inputs = {pin: port["bits"][0] for pin, port in ports.items() if port["direction"] == "input"}
    registers = [part["connections"] for part in parts if part["type"] == _REGISTER]
    driven: dict[int, Function] = {bit: operator.itemgetter(pin) for pin, bit in inputs.items()}
    driven |= {register["Q"][0]: operator.itemgetter(STATE) for register in registers}
    waiting = [part for part in parts if part["type"] != _REGISTER]
    while waiting:
        ready = [part for part in waiting if _operands(part) <= driven.keys()]
        if not ready or any(part["type"] not in _GATES for part in ready):
            raise FullintError(f"simulation of gates knows no cells like {kind}")
        for part in ready:
            connected = part["connections"]
            operands = [driven[connected[pin][0]] for pin in ("A", "B") if pin in connected]
            driven[connected["Y"][0]] = _applied(_GATES[part["type"]], operands)
            waiting.remove(part)
    outputs = {
        pin: driven[port["bits"][0]] for pin, port in ports.items() if port["direction"] == "output"
    }
    if not registers:
        return CellFunction(outputs, None, None)
    clock = {bit: pin for pin, bit in inputs.items()}[registers[0]["C"][0]]
    return CellFunction(outputs, driven[registers[0]["D"][0]], clock)


def _operands(part: Mapping[str, Any]) -> set[int]:
    return {bits[0] for pin, bits in part["connections"].items() if pin != "Y"}


def _applied(gate: Callable[..., np.ndarray], operands: Sequence[Function]) -> Function:
    return lambda pins: gate(*(operand(pins) for operand in operands))
