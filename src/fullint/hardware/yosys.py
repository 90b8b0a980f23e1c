"""Yosys, through the package `pyosys`."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fullint.errors import FullintError

_SCRIPT = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    libyosys.run_pass(command, design)
"""


def run_yosys(commands: Sequence[str]) -> str:
    """Run Yosys commands in a process of their own, as an error of Yosys ends its process.

    Returns:
        What Yosys printed.

    Raises:
        FullintError: with Yosys' own message.
    """
    _package_folder()
    finished = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        check=False,
    )
    output = finished.stdout + finished.stderr
    if finished.returncode:
        errors = [line for line in output.splitlines() if line.startswith("ERROR")]
        raise FullintError(f"Yosys failed: {(errors or output.splitlines()[-1:] or ['?'])[0]}")
    return output


def cxxrtl_headers() -> Path:
    """Folder of the headers that C++ code of `write_cxxrtl` includes."""
    return _package_folder() / "share" / "include" / "backends" / "cxxrtl" / "runtime"


def _package_folder() -> Path:
    found = importlib.util.find_spec("pyosys")
    if found is None or found.origin is None:
        raise FullintError("this needs pyosys: pip install 'fullint[hardware]'")
    return Path(found.origin).parent
