"""The energy of what a simulation of gates has counted."""

from __future__ import annotations

import re

import numpy as np

from fullint.errors import FullintError
from fullint.hardware.liberty import Group, Liberty
from fullint.hardware.netlist import Netlist

# Transition time at all pins in the library's unit, mostly ns; energies vary by 2 % around it.
SLEW = 0.1
_FARADS = {"f": 1e-15, "p": 1e-12}


def switching_energy(netlist: Netlist, liberty: Liberty, toggles: np.ndarray) -> float | None:
    """Joules of so many changes of every net; None where the library has no energies.

    C V^2 / 2 for every change of a net, C from the pins on it; what a cell uses inside when a pin
    changes from the library's tables, the mean of rising and falling and of all conditions. No
    wires, no glitches, no leakage.

    Raises:
        FullintError: energies without a voltage or a unit.
    """
    header = liberty.header()
    pins = [
        (pin, cells.pins[pin.name])
        for cells in netlist.cells
        for pin in liberty.cell(cells.kind).all("pin")
        if pin.name in cells.pins
    ]
    load = np.zeros(netlist.nets)
    for pin, nets in pins:
        np.add.at(load, nets, pin.number("capacitance"))
    inside = 0.0
    for pin, nets in pins:
        tables = [table for group in pin.all("internal_power") for table in group.groups]
        if tables:
            energies = [_looked_up(table, header, load[nets]) for table in tables]
            inside += float(toggles[nets] @ np.mean(energies, axis=0))
    if inside == 0:
        return None
    volts = header.number("nom_voltage")
    if not volts:
        raise FullintError("the library has energies, but no nom_voltage")
    return (inside + float(toggles @ load) * volts**2 / 2) * _energy_unit(header)


def _looked_up(table: Group, header: Group, load: np.ndarray) -> np.ndarray:
    """A table's energies at SLEW and the loads, in the library's unit; at its end beyond it."""
    values = _numbers(table, "values")
    if table.name == "scalar":
        return np.full(len(load), values[0])
    template = next(group for group in header.groups if group.name == table.name)
    axes = {}
    for axis in ("1", "2"):
        if variable := template.attributes.get(f"variable_{axis}"):
            source = table if f"index_{axis}" in table.attributes else template
            axes[variable] = _numbers(source, f"index_{axis}")
    values = values.reshape([len(points) for points in axes.values()])
    if next(iter(axes)) != "input_transition_time":
        values = values.T
    loads = axes.get("total_output_net_capacitance", np.zeros(1))
    slews = axes.get("input_transition_time", np.zeros(1))
    by_slew = [np.interp(load, loads, line) for line in values.reshape(len(slews), -1)]
    upper = int(np.clip(np.searchsorted(slews, SLEW), 1, max(len(slews) - 1, 1)))
    if len(slews) == 1:
        return by_slew[0]
    share = (SLEW - slews[upper - 1]) / (slews[upper] - slews[upper - 1])
    return by_slew[upper - 1] + share * (by_slew[upper] - by_slew[upper - 1])


def _numbers(group: Group, attribute: str) -> np.ndarray:
    return np.array([float(number) for number in re.split(r"[,\s]+", group.attributes[attribute])])


def _energy_unit(header: Group) -> float:
    """Joules in capacitance times volts squared, the unit of a library's energies."""
    unit = header.attributes.get("capacitive_load_unit", "").lower()
    found = re.fullmatch(r"([\d.]+) ([fp])f", unit)
    if found is None:
        raise FullintError("the library's unit of capacitance is neither fF nor pF")
    return float(found[1]) * _FARADS[found[2]]
