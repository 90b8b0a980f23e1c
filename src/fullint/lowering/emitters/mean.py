"""Average pooling: an integer sum; the division is part of the requantization."""

from __future__ import annotations

import math

import numpy as np

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding


@register(normal_form.mean)
def emit_mean(emission: Emission) -> Encoding:
    """sum, then the rounding onto the output's grid."""
    node, dims = emission.arguments
    x, dims = emission.numbers(node), tuple(int(dim) for dim in dims)
    if any(x.scale.shape[dim] != 1 for dim in dims):
        raise FullintError("scales differ along the axes that it averages")
    shape = emission.builder.types[x.name].shape
    output = emission.emit(
        "sum", [x.name], emission.pending_name(), dims=dims, zero_point=x.zero_point
    )
    scale = np.squeeze(x.scale, axis=dims) / math.prod(shape[dim] for dim in dims)
    return emission.finish(Encoding(output, scale, accumulators=True))
