"""Engine and interpreter side by side."""

from __future__ import annotations

import numpy as np

from fullint.engine import Engine, supported_isas
from fullint.integer import interpreter
from fullint.integer.program import IntegerProgram

from .programs import random_images


def assert_engine_equals_interpreter(
    program: IntegerProgram, *, images: int = 3, isa: str | None = None
) -> None:
    """On one or every instruction set, on one thread and on two that share an image."""
    pixels = random_images(program, images, seed=images)
    expected = interpreter.run(program, pixels)
    for chosen in [isa] if isa else supported_isas():
        for threads in (1, 2):
            logits = Engine(program, threads=threads, isa=chosen).run(pixels)
            np.testing.assert_array_equal(logits, expected, f"{chosen}, {threads} threads")
