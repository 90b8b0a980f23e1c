"""What a peer is."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import nn


class PeerUnavailableError(Exception):
    """A peer that cannot run here, and why."""


@dataclass(frozen=True)
class PeerTask:
    """What a peer has to run.

    Attributes:
        model: the float model, in evaluation mode.
        images: normalised float32 (N, channels, height, width); also for calibration.
        batch, threads: images a run, threads that may compute.
        folder: for files that several tasks share.
        stack: for what must be undone after the measurement.
    """

    model: nn.Module
    images: np.ndarray
    batch: int
    threads: int
    folder: Path
    stack: ExitStack

    @property
    def input(self) -> np.ndarray:
        """One batch."""
        return np.resize(self.images, (self.batch, *self.images.shape[1:]))


@dataclass(frozen=True)
class Peer:
    """A runtime with settings; `prepare` gives a function that runs one batch.

    `obeys_isa`: whether it keeps to an instruction set below the processor's best when told to
    (`hold_peers_to`).
    """

    name: str
    settings: str
    prepare: Callable[[PeerTask], Callable[[], object]]
    obeys_isa: bool = True


def need(package: str) -> ModuleType:
    """Import an optional package."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise PeerUnavailableError(
            f"{package} is not installed ({error}); run: pip install 'fullint[bench]'"
        ) from error


def part_of(path: Path) -> Path:
    """Where to write what is to be at `path` once it is whole: an interrupted run must not leave a
    half for the next one.
    """
    return path.with_name(f"part-{path.name}")
