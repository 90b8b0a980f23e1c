"""Files of a saved model, read and written past what fullint does itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

same_directory = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_config(saved: Path) -> dict[str, Any]:
    return json.loads((saved / "config.json").read_bytes())


def write_config(saved: Path, config: dict[str, Any]) -> None:
    """With a digest that fits, as a forger would."""
    rest = json.dumps({name: value for name, value in config.items() if name != "sha256"})[1:]
    digest = hashlib.sha256(rest.encode()).hexdigest()
    (saved / "config.json").write_text(f'{{\n "sha256": "{digest}",\n{rest}')


def write_weights(saved: Path, data: bytes) -> None:
    (saved / "model.safetensors").write_bytes(data)
    config = read_config(saved)
    config["weights"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    write_config(saved, config)
