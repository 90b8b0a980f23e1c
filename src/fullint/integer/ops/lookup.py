"""lookup: any function of one code, as a table (GELU and other activations): exact."""

from __future__ import annotations

import numpy as np

from fullint.errors import FullintError
from fullint.integer.ops.registry import register
from fullint.integer.types import Operand, TensorType


def infer(x: Operand, table: Operand, *, offset: int) -> TensorType:
    """table[x - offset] must exist for every x in range."""
    if table.values().ndim != 1 or x.type.low < offset or x.type.high - offset >= table.shape[0]:
        raise FullintError(
            f"a table of shape {table.shape} from {offset} does not cover "
            f"[{x.type.low}, {x.type.high}]"
        )
    return TensorType(x.shape, table.type.low, table.type.high)


def compute(x: np.ndarray, table: np.ndarray, *, offset: int) -> np.ndarray:
    """table[x - offset]."""
    return table[x - offset]


register("lookup", infer=infer, compute=compute)
