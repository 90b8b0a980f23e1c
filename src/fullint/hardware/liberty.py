"""Cell libraries: the one that ships with the package, and any other."""

from __future__ import annotations

import functools
import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fullint.errors import FullintError

# Areas in gate equivalents, so an area with it is a count of two-input NAND gates.
GATE_EQUIVALENTS = Path(__file__).with_name("gate_equivalents.lib")
_CELL = re.compile(r'\bcell\s*\(\s*"?([\w.]+)"?\s*\)\s*\{')
_AREA = re.compile(r"\barea\s*:\s*([0-9.eE+-]+)\s*;")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(r'"[^"]*"|[^\s"{}();:,\\]+|[{}();:]')


@dataclass(frozen=True)
class Group:
    """A group of a liberty file, as `pin (A) { ... }`.

    Attributes:
        kind, name: "pin" and "A".
        attributes: simple ones; of a complex one, as `values (...)`, its numbers or words joined by
            spaces.
        groups: those inside.
    """

    kind: str
    name: str
    attributes: Mapping[str, str]
    groups: tuple[Group, ...]

    def all(self, kind: str) -> list[Group]:
        """The groups of a kind directly inside."""
        return [group for group in self.groups if group.kind == kind]

    def number(self, attribute: str, default: float = 0.0) -> float:
        """A simple attribute's value."""
        return float(self.attributes.get(attribute, default))


@dataclass(frozen=True)
class ClockGate:
    """The pins of a cell that lets a clock through while it is enabled."""

    clock: str
    enable: str
    output: str


@dataclass(frozen=True)
class Liberty:
    """A cell library as a plain file.

    Attributes:
        path: the file, not compressed.
        name: of the file that was given.
        gate_equivalent: area of the smallest two-input NAND gate, in the library's unit.
        driver: a buffer that drives the inputs when cells are sized.
    """

    path: Path
    name: str
    gate_equivalent: float
    driver: str | None

    def cell(self, name: str) -> Group:
        """A cell's description."""
        return _group(self._cell_texts[name])

    def header(self) -> Group:
        """All that stands before the first cell: units and templates."""
        text = self._text
        first = _CELL.search(text)
        return _group(text[: first.start() if first else None] + "}")

    def clock_gates(self) -> dict[str, ClockGate]:
        """The cells that gate a clock of rising edges."""
        found = {}
        for name, text in self._cell_texts.items():
            if re.search(r'clock_gating_integrated_cell\s*:\s*"?latch_posedge"?\s*;', text):
                pins = self.cell(name).all("pin")
                clock, enable, output = (
                    next(pin.name for pin in pins if f"clock_gate_{use}_pin" in pin.attributes)
                    for use in ("clock", "enable", "out")
                )
                found[name] = ClockGate(clock, enable, output)
        return found

    @functools.cached_property
    def _text(self) -> str:
        return _COMMENT.sub("", self.path.read_text(errors="replace"))

    @functools.cached_property
    def _cell_texts(self) -> dict[str, str]:
        return _cell_texts(self._text)


def read_liberty(path: Path, directory: Path) -> Liberty:
    """Open a liberty file; one that ends in .gz is unpacked into `directory`.

    Raises:
        FullintError: no file, a damaged one, or no two-input NAND gate in it.
    """
    if not path.is_file():
        raise FullintError(f"there is no cell library {path}")
    if path.suffix == ".gz":
        plain = directory / path.stem
        try:
            plain.write_bytes(gzip.decompress(path.read_bytes()))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise FullintError(f"{path} cannot be unpacked: {error}") from error
    else:
        plain = path.resolve()
    texts = _cell_texts(plain.read_text(errors="replace"))
    areas = {name: float(area[1]) for name in texts if (area := _AREA.search(texts[name]))}
    gates = [area for name, area in areas.items() if re.search(r"nand2(_|x|$)", name.lower())]
    if not gates:
        raise FullintError(f"{path} holds no cell whose name tells a two-input NAND gate")
    drivers = [name for name in areas if re.search(r"(^|_)buf_?x?2$", name.lower())]
    return Liberty(plain, path.name, min(gates), drivers[0] if drivers else None)


def _cell_texts(text: str) -> dict[str, str]:
    cells = list(_CELL.finditer(text))
    ends = [*(cell.start() for cell in cells[1:]), len(text)][: len(cells)]
    return {cell[1]: text[cell.start() : end] for cell, end in zip(cells, ends, strict=True)}


def _group(text: str) -> Group:
    tokens = [token[0].strip('"') for token in _TOKEN.finditer(text)]
    return _parse(tokens, 0)[0]


def _parse(tokens: list[str], start: int) -> tuple[Group, int]:
    """The group that begins at a token, and where it ends."""
    kind, (name, at) = tokens[start], _arguments(tokens, start + 1)
    attributes: dict[str, str] = {}
    groups: list[Group] = []
    at += 1
    while tokens[at] != "}":
        if tokens[at] == ";":
            at += 1
        elif tokens[at + 1] == ":":
            attributes[tokens[at]] = tokens[at + 2]
            at += 3
        else:
            found, end = _arguments(tokens, at + 1)
            if tokens[end] == "{":
                group, at = _parse(tokens, at)
                groups.append(group)
            else:
                attributes[tokens[at]], at = found, end
    return Group(kind, name, attributes, tuple(groups)), at + 1


def _arguments(tokens: list[str], start: int) -> tuple[str, int]:
    """What stands in the parentheses that open at a token, and what follows them."""
    end = tokens.index(")", start)
    return " ".join(tokens[start + 1 : end]), end + 1
