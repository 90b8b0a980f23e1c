"""Engine and peers on one instruction set. A process of its own: peers read variables only once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fullint.bench import hold_peers_to
from fullint.errors import FullintError


@pytest.mark.parametrize(
    ("isa", "told"), [("avx2", "AVX2 avx2 True"), ("avx512vnni", "AVX512_CORE_VNNI avx512 True")]
)
def test_variables_are_set(isa: str, told: str) -> None:
    code = (
        "import os, sys; from fullint.bench import hold_peers_to; hold_peers_to(sys.argv[1]);"
        "print(os.environ['ONEDNN_MAX_CPU_ISA'], os.environ['ATEN_CPU_CAPABILITY'],"
        "os.environ['TORCHINDUCTOR_CACHE_DIR'].endswith('-' + sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, isa], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == told


def test_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", sys)
    with pytest.raises(FullintError, match="torch runs already, so it cannot be held to 'avx2'"):
        hold_peers_to("avx2")


def test_unknown() -> None:
    with pytest.raises(FullintError, match="peers cannot be held to 'sse2'; choose one of avx2"):
        hold_peers_to("sse2")
