"""Emitters: how each operation of the normal form becomes integer operations, one file a kind.

An emitter takes an `Emission`: the program so far, the graph node, the encodings of what is
computed already, and the grid of the node's output (None: leave the integers as they come). It
returns the output's encoding. To add one, decorate it with `register`, and import its file below.
"""

from fullint.lowering.emitters.registry import EMITTERS, Emission, register

# isort: off
from fullint.lowering.emitters import (  # noqa: F401  (imported for their registration)
    activation,
    add,
    layer_norm,
    layout,
    linear,
    matmul,
    mean,
    softmax,
)
# isort: on

__all__ = ["EMITTERS", "Emission", "register"]
