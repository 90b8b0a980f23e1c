"""Simulation of a netlist of gates, 64 independent runs in the bits of a word; counts toggles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullint.errors import FullintError
from fullint.hardware.netlist import STATE, Cells, Function, Netlist
from fullint.hardware.simulation import Vectors
from fullint.hardware.streams import Interface, Stream

RUNS = 64
_HIGH = np.uint64(2**64 - 1)
_LONGEST_WAIT = 10_000


@dataclass(frozen=True)
class Activity:
    """What happened in all runs together.

    Attributes:
        toggles: for each net its changes between the settled values of one cycle and of the next;
            of a net that carries a clock, two for every pulse.
        beat_cycles: the clock cycles in which one run's output beats moved.
        different: output beats that are not what was expected.
    """

    toggles: np.ndarray
    beat_cycles: Sequence[int]
    different: int


@dataclass(frozen=True)
class _Group:
    """Cells of a kind that are evaluated together: the nets at their pins and their functions."""

    inputs: Mapping[str, np.ndarray]
    outputs: list[tuple[np.ndarray, Function]]

    def evaluate(self, values: np.ndarray, state: np.ndarray | None = None) -> None:
        """Set the outputs in `values`, one word a net."""
        pins = {pin: values[nets] for pin, nets in self.inputs.items()}
        if state is not None:
            pins[STATE] = state
        for nets, function in self.outputs:
            values[nets] = function(pins)


@dataclass(frozen=True)
class _Registers(_Group):
    """Registers of a kind; `enables` are the nets that let their clock's pulses through."""

    following: Function
    enables: np.ndarray

    def clocked(self, values: np.ndarray, state: np.ndarray) -> np.ndarray:
        """The state after a clock's edge."""
        pins = {pin: values[nets] for pin, nets in self.inputs.items()} | {STATE: state}
        enabled = values[self.enables]
        return (state & ~enabled) | (self.following(pins) & enabled)


class GateSimulation:
    """A netlist, ready to be run. No delays: a net changes at most once a cycle, without glitches.

    All runs have to be in step, as they are where a unit's timing does not depend on its data.

    Raises:
        FullintError: gates in a loop, or a clock that is neither `clk` nor gated from it.
    """

    def __init__(self, netlist: Netlist, interface: Interface) -> None:
        self.netlist, self._interface = netlist, interface
        clock = netlist.ports["clk"][0]
        self._enables = {clock: 1}
        for cells in netlist.cells:
            if gate := netlist.clock_gates.get(cells.kind):
                if (cells.pins[gate.clock] != clock).any():
                    raise FullintError("a clock gate is not clocked by clk")
                pairs = zip(cells.pins[gate.output], cells.pins[gate.enable], strict=True)
                self._enables |= {int(gated): int(enable) for gated, enable in pairs}
        self._registers = [
            self._register(cells) for cells in netlist.cells if self._has_state(cells.kind)
        ]
        self._groups = self._ordered()

    def run(self, vectors: Vectors) -> Activity:
        """Send the beats without stalls, a 64th of them in every run, and compare all answers.

        Raises:
            FullintError: beats that 64 runs cannot share, runs out of step, or no more answers.
        """
        interface, ports = self._interface, self.netlist.ports
        streams = [
            _Beats(stream, words, ports)
            for stream, words in zip(interface.inputs, vectors.inputs, strict=True)
        ]
        expected = _Beats(interface.output, vectors.expected, ports)
        mask = _Beats(interface.output, vectors.mask, ports)
        values = np.zeros(self.netlist.nets, dtype=np.uint64)
        values[1] = _HIGH
        for field in interface.settings:
            for bit, net in enumerate(ports[field.port]):
                values[net] = _HIGH * np.uint64(vectors.settings[field.port] >> bit & 1)
        values[ports[f"{interface.output.name}_ready"]] = _HIGH
        states = [np.zeros(len(group.enables), dtype=np.uint64) for group in self._registers]
        toggles = np.zeros(len(values), dtype=np.int64)
        moved: list[int] = []
        cycles = different = 0
        while len(moved) < expected.beats and cycles - (moved or [0])[-1] < _LONGEST_WAIT:
            before = values.copy()
            values[ports["rst"]] = _HIGH * np.uint64(cycles == 0)
            for stream in streams:
                stream.offer(values)
            for group, state in zip(self._registers, states, strict=True):
                group.evaluate(values, state)
            for gates in self._groups:
                gates.evaluate(values)
            if cycles:  # the first one resets
                toggles += _ones(values ^ before)
                toggles[list(self._enables)] += 2 * _ones(values[list(self._enables.values())])
                for stream in streams:
                    stream.advance(values)
                if expected.moves(values):
                    wrong = values[expected.nets] ^ expected.words[len(moved)]
                    wrong &= mask.words[len(moved)]
                    different += int(_ones(np.bitwise_or.reduce(wrong, keepdims=True))[0])
                    moved.append(cycles)
            cycles += 1
            states = [
                group.clocked(values, state)
                for group, state in zip(self._registers, states, strict=True)
            ]
        if len(moved) < expected.beats:
            raise FullintError(f"the gates stopped after {len(moved)} of {expected.beats} beats")
        return Activity(toggles, moved, different)

    def _has_state(self, kind: str) -> bool:
        return kind in self.netlist.functions and (
            self.netlist.functions[kind].following is not None
        )

    def _register(self, cells: Cells) -> _Registers:
        function = self.netlist.functions[cells.kind]
        assert function.following is not None and function.clock is not None
        clocks = cells.pins[function.clock].tolist()
        if unknown := set(clocks) - self._enables.keys():
            raise FullintError(f"{len(unknown)} clocks are neither clk nor gated from it")
        return _Registers(
            *_connected(cells, self._outputs(cells)),
            following=function.following,
            enables=np.array([self._enables[clock] for clock in clocks]),
        )

    def _ordered(self) -> list[_Group]:
        """The gates, each behind all that drive it."""
        known = np.ones(self.netlist.nets, dtype=bool)
        waiting = [cells for cells in self.netlist.cells if self._is_gate(cells.kind)]
        for cells in waiting:
            for pin in self._outputs(cells):
                known[cells.pins[pin]] = False
        groups = []
        while waiting:
            found, later = [], []
            for cells in waiting:
                outputs = self._outputs(cells)
                inputs = [nets for pin, nets in cells.pins.items() if pin not in outputs]
                ready = np.all([known[nets] for nets in inputs], axis=0)
                if ready.any():
                    found.append((_some(cells, ready), outputs))
                if not ready.all():
                    later.append(_some(cells, ~ready))
            if not found:
                raise FullintError("the netlist has gates in a loop")
            for cells, outputs in found:
                for pin in outputs:
                    known[cells.pins[pin]] = True
                groups.append(_Group(*_connected(cells, outputs)))
            waiting = later
        return groups

    def _outputs(self, cells: Cells) -> dict[str, Function]:
        functions = self.netlist.functions[cells.kind].outputs
        return {pin: function for pin, function in functions.items() if pin in cells.pins}

    def _is_gate(self, kind: str) -> bool:
        return kind in self.netlist.functions and not self._has_state(kind)


class _Beats:
    """A stream's beats, spread over the runs: (beats, bits) words, a run in each bit."""

    def __init__(
        self, stream: Stream, words: np.ndarray, ports: Mapping[str, Sequence[int]]
    ) -> None:
        if len(words) % RUNS:
            raise FullintError(f"{len(words)} beats of {stream.name} cannot share {RUNS} runs")
        self.beats, self._next = len(words) // RUNS, 0
        split = words.reshape(RUNS, self.beats, -1).astype("<u4")
        bits = np.unpackbits(split.view(np.uint8), axis=-1, bitorder="little")
        self.nets: list[int] = []
        chosen, start = [], 0
        for field in stream.fields:
            chosen.append(bits[..., start : start + field.width])
            self.nets += ports[field.port]
            start += field.words * 32
        packed = np.packbits(np.concatenate(chosen, -1), axis=0, bitorder="little")
        self.words = np.ascontiguousarray(np.moveaxis(packed, 0, -1)).view("<u8")[..., 0]
        self._valid, self._ready = (ports[f"{stream.name}_{end}"] for end in ("valid", "ready"))
        self._name = stream.name

    def offer(self, values: np.ndarray) -> None:
        """Drive the stream with its next beat, if there is one."""
        offered = self._next < self.beats
        values[self._valid] = _HIGH * np.uint64(offered)
        if offered:
            values[self.nets] = self.words[self._next]

    def advance(self, values: np.ndarray) -> None:
        """Go on to the next beat if this one moves."""
        self._next += self.moves(values)

    def moves(self, values: np.ndarray) -> bool:
        """Whether a beat moves, in all runs."""
        moved = values[self._valid][0] & values[self._ready][0]
        if moved not in (0, _HIGH):
            raise FullintError(f"the runs' beats of {self._name} are not in step")
        return bool(moved)


def _connected(
    cells: Cells, outputs: Mapping[str, Function]
) -> tuple[dict[str, np.ndarray], list[tuple[np.ndarray, Function]]]:
    inputs = {pin: nets for pin, nets in cells.pins.items() if pin not in outputs}
    return inputs, [(cells.pins[pin], outputs[pin]) for pin in outputs]


def _some(cells: Cells, chosen: np.ndarray) -> Cells:
    return Cells(cells.kind, {pin: nets[chosen] for pin, nets in cells.pins.items()})


def _ones(words: np.ndarray) -> np.ndarray:
    """The number of ones in each word."""
    return np.unpackbits(words.view(np.uint8).reshape(len(words), 8), axis=-1).sum(
        axis=-1, dtype=np.int64
    )
