"""Attention products: query times key, attention map times value."""

from __future__ import annotations

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding

WEIGHTED_AVERAGE_BITS = 14


@register(normal_form.matmul)
def emit_matmul(emission: Emission) -> Encoding:
    """matmul, shift_matmul for log2 codes, weighted_average for row-relative ones."""
    a_node, b_node = emission.arguments
    a, b = emission.encoding_of(a_node), emission.numbers(b_node)
    if a.scale.shape[-1] != 1 or b.scale.shape[-2] != 1:
        raise FullintError("scales differ along the axis that it sums over")
    inputs, output = [a.name, b.name], emission.pending_name()
    if a.kind == "log2":
        emission.emit("shift_matmul", inputs, output, zero_b=b.zero_point)
        scale = b.scale * 2.0**-15
    elif a.kind == "row_relative":
        values = emission.builder.types[b.name]
        largest = max(b.zero_point - values.low, values.high - b.zero_point)
        value_bits = (largest - 1).bit_length()
        fraction_bits = WEIGHTED_AVERAGE_BITS - value_bits
        if fraction_bits < 0:
            raise FullintError(
                f"its values reach {largest} steps; give 'query_key_value' a grid of at most "
                f"{WEIGHTED_AVERAGE_BITS} bits"
            )
        emission.emit(
            "weighted_average",
            inputs,
            output,
            zero_v=b.zero_point,
            value_bits=value_bits,
            fraction_bits=fraction_bits,
        )
        scale = b.scale * 2.0**-fraction_bits
    else:
        emission.emit("matmul", inputs, output, zero_a=a.zero_point, zero_b=b.zero_point)
        scale = a.scale * b.scale
    return emission.finish(Encoding(output, scale, accumulators=True))
