"""The compiled module; see module.cpp."""

from collections.abc import Callable

import numpy as np

Tensor = tuple[str, tuple[int, ...], str, int, int, np.ndarray | None, str]
Operation = tuple[str, list[int], int, dict[str, list[int]]]

class Engine:
    def __init__(
        self,
        tensors: list[Tensor],
        operations: list[Operation],
        input: int,
        output: int,
        threads: int,
        isa: str | None,
        release: Callable[[], None],
    ) -> None: ...
    def run(self, pixels: np.ndarray, logits: np.ndarray) -> None: ...
    def profile(self, pixels: np.ndarray) -> list[tuple[str, float, int, int]]: ...
    @property
    def isa(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def arena_bytes(self) -> int: ...
    @property
    def held_bytes(self) -> int: ...

def supported_isas() -> list[str]: ...
