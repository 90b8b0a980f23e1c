"""Linear layers: integer weights, the bias in accumulator steps with the input's zero point folded
in.
"""

from __future__ import annotations

import numpy as np

from fullint.capture import normal_form
from fullint.lowering.context import scalar_scale
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding, of_rank


@register(normal_form.linear)
def emit_linear(emission: Emission) -> Encoding:
    """linear, then the rounding onto the output's grid."""
    node, weight_node, bias_node = emission.arguments
    x = emission.numbers(node)
    grid = emission.graph.uniform_grid_of(weight_node)
    weight = getattr(emission.graph.module, weight_node.target)
    codes = grid.quantize(weight).detach().cpu().numpy().astype(np.int64)
    scale = scalar_scale(x) * np.broadcast_to(grid.scale.numpy().reshape(-1), (len(codes),))
    bias = np.zeros(len(codes)) if bias_node is None else emission.constant(bias_node)
    folded = np.rint(bias / scale).astype(np.int64) - x.zero_point * codes.sum(1)
    inputs = [
        x.name,
        emission.add_constant("weight", codes),
        emission.add_constant("bias", folded),
    ]
    output = emission.emit("linear", inputs, emission.pending_name())
    return emission.finish(Encoding(output, of_rank(scale, emission.rank), accumulators=True))
