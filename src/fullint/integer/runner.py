"""What runs a program: the native engine where it is installed, else the interpreter."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

import numpy as np

from fullint import engine
from fullint.errors import FullintError
from fullint.integer import interpreter
from fullint.integer.program import IntegerProgram

Runner = Callable[[np.ndarray], np.ndarray]


def make_runner(program: IntegerProgram, release: Callable[[], None]) -> Runner:
    """From uint8 pixels (images, height, width, channels) to int32 logits (images, classes).

    `release` is called when an engine holds constants in a form of its own. The environment
    variable FULLINT_ENGINE can insist on `native` or `interpreter`; their results are the same.
    """
    choice = os.environ.get("FULLINT_ENGINE", "")
    if choice not in ("", "native", "interpreter"):
        raise FullintError(
            f"FULLINT_ENGINE is '{choice}'; it may be 'native' or 'interpreter', or unset"
        )
    if choice == "interpreter" or (not choice and not engine.available()):
        return functools.partial(interpreter.run, program)
    return engine.Engine(program, release=release).run
