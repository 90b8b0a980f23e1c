"""What needs an extra, and the sentence where it is not installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fullint.errors import FullintError

_QUANTIZE = ("torch", "torchvision", "timm", "pydantic", "sklearn", "yaml")
_HARDWARE = ("amaranth", "pyosys")


@contextmanager
def quantize_extra() -> Iterator[None]:
    """Say how to install what is missing; the block imports it."""
    # torch's threads otherwise spin while they wait, which made calibration six times slower beside
    # another busy process on two cores. It has to be said before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with _extra("quantize", _QUANTIZE):
        yield


@contextmanager
def hardware_extra() -> Iterator[None]:
    """The same for what hardware units need."""
    with _extra("hardware", _HARDWARE):
        yield


@contextmanager
def _extra(name: str, packages: tuple[str, ...]) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in packages:
            raise
        raise FullintError(
            f"this command needs {error.name}, which is not installed here; "
            f"run: pip install 'fullint[{name}]'"
        ) from error
