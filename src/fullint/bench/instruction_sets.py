"""Holding peers to an instruction set: they read environment variables when they are imported."""

from __future__ import annotations

import getpass
import os
import sys
import tempfile
from pathlib import Path

from fullint.errors import FullintError

# oneDNN is what OpenVINO and torch compute with; ATen and MKL are torch's own.
_VARIABLES = {
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "avx512vnni": {
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI",
        "ATEN_CPU_CAPABILITY": "avx512",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    },
    "amx": {},
}
_READERS = ("torch", "openvino")


def hold_peers_to(isa: str) -> None:
    """Let peers of this process use no instructions beyond avx2, avx512vnni or amx.

    Raises:
        FullintError: another instruction set, or a peer that has been imported already.
    """
    if isa not in _VARIABLES:
        raise FullintError(
            f"peers cannot be held to '{isa}'; choose one of {', '.join(_VARIABLES)}, or no peers"
        )
    imported = [name for name in _READERS if name in sys.modules]
    if imported:
        raise FullintError(f"{imported[0]} runs already, so it cannot be held to '{isa}' any more")
    os.environ.update(_VARIABLES[isa])
    if _VARIABLES[isa]:
        # Code that torch.compile keeps on disk has no instruction set in its key: what was made for
        # one would run for another, and leave out half of the elements.
        default = Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"
        folder = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or str(default)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}-{isa}"
