"""A machine that only evaluates saved models needs no torch."""

from __future__ import annotations

import subprocess
import sys


def test_data_and_evaluation_import_neither_torch_nor_timm() -> None:
    program = (
        "import fullint.data, fullint.evaluation, fullint.results_file, sys\n"
        "heavy = {'torch', 'torchvision', 'timm', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
