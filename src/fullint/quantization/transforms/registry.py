"""Where transforms register themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch.fx
from torch import Tensor

from fullint.errors import FullintError

Batches = Callable[[], Iterable[Tensor]]
Transform = Callable[[torch.fx.GraphModule, Batches, Callable[[int], None]], None]
TRANSFORMS: dict[str, Transform] = {}


def register(name: str) -> Callable[[Transform], Transform]:
    """Make a transform known under `name`."""

    def decorate(transform: Transform) -> Transform:
        TRANSFORMS[name] = transform
        return transform

    return decorate


def find_transform(name: str) -> Transform:
    """The transform called `name`; FullintError names the known ones."""
    if name not in TRANSFORMS:
        raise FullintError(f"unknown transform '{name}'; known are {', '.join(sorted(TRANSFORMS))}")
    return TRANSFORMS[name]
