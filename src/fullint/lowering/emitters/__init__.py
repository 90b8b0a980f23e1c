"""Emitters: how each operation of the normal form becomes integer operations, one file a kind.

An emitter takes the builder, the graph node, the encodings of its inputs (None for constants) and the grid of its output
(None: leave the integers as they come), and returns the output's encoding. To add one, decorate it with `register`.
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
