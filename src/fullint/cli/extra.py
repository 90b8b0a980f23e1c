"""What needs the extra 'quantize', and the sentence where it is not installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fullint.errors import FullintError

_PACKAGES = ("torch", "torchvision", "timm", "pydantic", "sklearn")


@contextmanager
def quantize_extra() -> Iterator[None]:
    """Say how to install what is missing; the block imports it."""
    # torch's threads otherwise spin while they wait, which made calibration six times slower beside
    # another busy process on two cores. It has to be said before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _PACKAGES:
            raise
        raise FullintError(
            f"this command needs {error.name}, which is not installed here; "
            "run: pip install 'fullint[quantize]'"
        ) from error
