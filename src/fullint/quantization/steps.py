"""Where transforms and search register what they do for a recipe's declaration."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.recipes.declaration import Declaration

Step = Callable[[QuantizedGraph, Any, CalibrationData], None]
_STEPS: dict[type[Declaration], Step] = {}
_PACKAGES = ("transforms", "search")


def implements(config_type: type[Declaration]) -> Callable[[Step], Step]:
    """Register the function that carries out a declaration of this type."""

    def decorate(step: Step) -> Step:
        _STEPS[config_type] = step
        return step

    return decorate


def run_step(graph: QuantizedGraph, config: Declaration, data: CalibrationData) -> None:
    """Carry out one declared step; `graph` changes."""
    for package in _PACKAGES:
        importlib.import_module(f"fullint.quantization.{package}")
    _STEPS[type(config)](graph, config, data)
