"""Cell libraries: the one that ships with the package, and any other."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from pathlib import Path

from fullint.errors import FullintError

# Areas in gate equivalents, so an area with it is a count of two-input NAND gates.
GATE_EQUIVALENTS = Path(__file__).with_name("gate_equivalents.lib")
_CELL = re.compile(r'\bcell\s*\(\s*"?([\w.]+)"?\s*\)\s*\{')
_AREA = re.compile(r"\barea\s*:\s*([0-9.eE+-]+)\s*;")


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


def read_liberty(path: Path, directory: Path) -> Liberty:
    """Open a liberty file; one that ends in .gz is unpacked into `directory`.

    Raises:
        FullintError: no file, or no two-input NAND gate in it.
    """
    if not path.is_file():
        raise FullintError(f"there is no cell library {path}")
    if path.suffix == ".gz":
        plain = directory / path.stem
        plain.write_bytes(gzip.decompress(path.read_bytes()))
    else:
        plain = path.resolve()
    areas = _areas(plain.read_text(errors="replace"))
    gates = [area for name, area in areas.items() if re.search(r"nand2(_|x|$)", name.lower())]
    if not gates:
        raise FullintError(f"{path} holds no cell whose name tells a two-input NAND gate")
    drivers = [name for name in areas if re.search(r"(^|_)buf_?x?2$", name.lower())]
    return Liberty(plain, path.name, min(gates), drivers[0] if drivers else None)


def _areas(text: str) -> dict[str, float]:
    cells = list(_CELL.finditer(text))
    ends = [*(cell.start() for cell in cells[1:]), len(text)][: len(cells)]
    found = {}
    for cell, end in zip(cells, ends, strict=True):
        if area := _AREA.search(text, cell.end(), end):
            found[cell[1]] = float(area[1])
    return found
