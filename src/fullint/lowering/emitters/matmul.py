"""Attention products: query times key, attention map times value."""

from __future__ import annotations

import math

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding


@register(normal_form.matmul)
def emit_matmul(emission: Emission) -> Encoding:
    """matmul, shift_matmul for log2 codes, weighted_average for row-relative ones."""
    a, b = emission.input(0), emission.input(1)
    if a.scale.shape[-1] != 1 or b.scale.shape[-2] != 1:
        raise FullintError(f"{emission.source}: scales differ along the axis that '{emission.name}' sums over")
    output = emission.pending_name()
    emit, source = emission.builder.emit, emission.source
    if a.kind == "log2":
        emit("shift_matmul", [a.name, b.name], output, source=source, zero_b=b.zero_point)
        scale = b.scale * 2.0**-15
    elif a.kind == "row_relative":
        value_type = emission.builder.types[b.name]
        largest = max(b.zero_point - value_type.low, value_type.high - b.zero_point)
        value_bits = math.ceil(math.log2(largest))
        fraction_bits = 14 - value_bits
        emit(
            "weighted_average",
            [a.name, b.name],
            output,
            source=source,
            zero_v=b.zero_point,
            value_bits=value_bits,
            fraction_bits=fraction_bits,
        )
        scale = b.scale * 2.0**-fraction_bits
    else:
        emit("matmul", [a.name, b.name], output, source=source, zero_a=a.zero_point, zero_b=b.zero_point)
        scale = a.scale * b.scale
    return emission.finish(Encoding(output, scale, accumulators=True))
