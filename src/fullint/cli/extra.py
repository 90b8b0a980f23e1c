"""What needs the extra 'quantize', and the sentence where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fullint.errors import FullintError

_PACKAGES = ("torch", "torchvision", "timm", "pydantic", "sklearn")


@contextmanager
def quantize_extra() -> Iterator[None]:
    """Say how to install what is missing; the block imports it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _PACKAGES:
            raise
        raise FullintError(
            f"this command needs {error.name}, which is not installed here; "
            "run: pip install 'fullint[quantize]'"
        ) from error
