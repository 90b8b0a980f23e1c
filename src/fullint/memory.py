"""How much memory this process has needed."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def peak_memory_bytes() -> int | None:
    """Largest resident memory of this process so far, in bytes; None where it is unknown."""
    # On Linux getrusage starts from the size of the process that started this one.
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    if found := re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE):
        return 1024 * int(found[1])
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
