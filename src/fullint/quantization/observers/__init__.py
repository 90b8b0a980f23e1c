"""Observers: estimators of the range a grid should cover, one file each, fed batch by batch.

An observer sees tensors as (groups, elements), keeps a state that does not grow with their number,
and returns the range of every group. To add one, subclass `Observer` in a new file, decorate it
with `register`, and import it below.
"""

from fullint.quantization.observers.base import OBSERVERS, Observer, make_observer, register

# isort: off
from fullint.quantization.observers import (  # noqa: F401  (imported for their registration)
    ema,
    minmax,
    mse,
    omse,
    percentile,
    percentile_list,
)
# isort: on

__all__ = ["OBSERVERS", "Observer", "make_observer", "register"]
