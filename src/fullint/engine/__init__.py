"""The native engine: runs integer programs in C++, bit for bit as the interpreter does.

It needs numpy only. One engine may be called from any number of Python threads at once.
"""

from __future__ import annotations

import importlib
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from fullint.errors import FullintError

if TYPE_CHECKING:
    from fullint.engine._engine import Engine as NativeEngine
    from fullint.engine._engine import Operation, Tensor
    from fullint.integer.program import IntegerProgram

_engine: ModuleType | None
try:
    _engine = importlib.import_module("fullint.engine._engine")
    _import_error = None
except ImportError as error:
    _engine, _import_error = None, error

__all__ = ["Engine", "StepTime", "available", "default_threads", "supported_isas"]

MOST_THREADS = 1024


def available() -> bool:
    """Whether the compiled engine is installed."""
    return _engine is not None


def supported_isas() -> list[str]:
    """Instruction sets this build and CPU can run, slowest first; empty without the engine."""
    return list(_engine.supported_isas()) if _engine is not None else []


def default_threads() -> int:
    """FULLINT_THREADS, or one thread for each CPU that this process may use."""
    text = os.environ.get("FULLINT_THREADS", "")
    if text:
        if not text.isdecimal() or int(text) < 1:
            raise FullintError(f"FULLINT_THREADS is '{text}'; it must be a positive number")
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST_THREADS)
    return min(os.cpu_count() or 1, MOST_THREADS)


@dataclass(frozen=True)
class StepTime:
    """What steps of one kind took in a profiled run, on one thread.

    Attributes:
        kind: of the operation, the first one where several were fused.
        seconds: an image; of each step the median over the images.
        share: of the whole time.
        steps: how many.
        operations: multiplications and additions of the matrix products among them, an image.
        bytes: what they read and write at least, weights and constants included, an image.
    """

    kind: str
    seconds: float
    share: float
    steps: int
    operations: int
    bytes: int


class Engine:
    """A program ready to run: weights packed, steps fused, memory planned.

    Args:
        program: the program; it is not needed afterwards.
        threads: at most so many compute at once; default `default_threads()`. Results do not depend
            on it.
        isa: one of `supported_isas()`; default FULLINT_ISA, or the best.
        release: called now and then, last when all is done: the constants taken so far are held in
            another form, and their memory may go.

    Raises:
        FullintError: the engine is not installed, or a thread number or instruction set is wrong.
    """

    def __init__(
        self,
        program: IntegerProgram,
        *,
        threads: int | None = None,
        isa: str | None = None,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        if _engine is None:
            raise FullintError(
                f"fullint's native engine is not installed ({_import_error}); reinstall fullint "
                "with a C++ compiler present, or set FULLINT_ENGINE=interpreter"
            )
        threads = default_threads() if threads is None else threads
        if not 1 <= threads <= MOST_THREADS:
            raise FullintError(f"threads is {threads}; it must lie in [1, {MOST_THREADS}]")
        self.input_shape = program.input_shape[1:]
        self.classes = program.output_type.shape[-1]
        try:
            self._native: NativeEngine = _engine.Engine(*_describe(program), threads, isa, release)
        except (RuntimeError, ValueError) as error:
            raise FullintError(f"the native engine cannot run this program: {error}") from error

    @property
    def isa(self) -> str:
        """Instruction set in use."""
        return self._native.isa

    @property
    def threads(self) -> int:
        """Most threads that compute at once."""
        return self._native.threads

    @property
    def arena_bytes(self) -> int:
        """Memory of one image under way."""
        return self._native.arena_bytes

    @property
    def held_bytes(self) -> int:
        """Memory of packed weights and other constants."""
        return self._native.held_bytes

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Logits int32 (images, classes) of uint8 pixels (images, height, width, channels)."""
        pixels = self._checked(pixels)
        logits = np.empty((len(pixels), self.classes), dtype=np.int32)
        self._native.run(pixels, logits)
        return logits

    def profile(self, pixels: np.ndarray) -> list[StepTime]:
        """Run on one thread and say what takes the time, most first."""
        totals: dict[str, list[float]] = defaultdict(lambda: [0.0, 0, 0, 0])
        for kind, seconds, operations, moved in self._native.profile(self._checked(pixels)):
            for index, value in enumerate((seconds, 1, operations, moved)):
                totals[kind][index] += value
        whole = sum(total[0] for total in totals.values()) or 1.0
        times = [
            StepTime(kind, seconds, seconds / whole, int(steps), int(operations), int(moved))
            for kind, (seconds, steps, operations, moved) in totals.items()
        ]
        return sorted(times, key=lambda time: -time.seconds)

    def _checked(self, pixels: np.ndarray) -> np.ndarray:
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.input_shape or pixels.ndim != 4:
            raise FullintError(
                f"pixels are {pixels.dtype} of shape {pixels.shape}; "
                f"the program reads uint8 images of shape {self.input_shape}"
            )
        return np.ascontiguousarray(pixels)


def _describe(program: IntegerProgram) -> tuple[list[Tensor], list[Operation], int, int]:
    """Tensors, operations, and the indices of input and output, as the native module takes them."""
    index = {name: position for position, name in enumerate(program.types)}
    tensors: list[Tensor] = []
    weights = _weights_only(program)
    for name, tensor in program.types.items():
        constant, storage = None, "plain"
        if name in program.constants:
            packed = program.constants.packed(name) if name in weights else None
            if packed is not None:
                constant, storage = packed.stored, packed.storage
            else:
                constant = program.constants[name].astype(tensor.numpy_dtype, "C", copy=False)
        tensors.append(
            (name, tensor.shape, tensor.storage, tensor.low, tensor.high, constant, storage)
        )
    operations: list[Operation] = [
        (
            operation.kind,
            [index[name] for name in operation.inputs],
            index[operation.output],
            {
                name: list(value) if isinstance(value, tuple) else [value]
                for name, value in operation.attributes.items()
            },
        )
        for operation in program.operations
    ]
    return tensors, operations, index[program.input_name], index[program.output_name]


def _weights_only(program: IntegerProgram) -> set[str]:
    """Constants that nothing but linear layers read, as their weights: they may stay packed."""
    weights: set[str] = set()
    others: set[str] = set()
    for operation in program.operations:
        for position, name in enumerate(operation.inputs):
            (weights if operation.kind == "linear" and position == 1 else others).add(name)
    return weights - others
