"""Lowering: walk the quantized graph once, emit integer operations, let the program prove its
bounds.
"""

from __future__ import annotations

import numpy as np
import torch.fx

from fullint.errors import FullintError
from fullint.integer.program import IntegerProgram
from fullint.integer.types import TensorType
from fullint.lowering.context import ProgramBuilder
from fullint.lowering.emitters import EMITTERS, Emission
from fullint.lowering.encoding import Encoding
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.roles import is_constant


def lower(graph: QuantizedGraph) -> IntegerProgram:
    """The integer program of a calibrated quantized graph.

    Raises:
        FullintError: a recipe that is a simulation only, a layer whose accumulators could overflow,
            or a tensor whose grid an operation cannot use, by name.
    """
    graph.recipe.require_program()
    builder = ProgramBuilder(exact=graph.recipe.requantization == "exact")
    encodings: dict[torch.fx.Node, Encoding] = {}
    output: Encoding | None = None
    input_name, input_shape = "", ()
    for node in graph.module.graph.nodes:
        if node.op == "placeholder":
            input_name, input_shape = node.name, tuple(node.meta["shape"])
            builder.types[input_name] = TensorType(input_shape, 0, 255)
            encodings[node] = Encoding(input_name, np.ones((1,) * len(input_shape)))
        elif node.op == "output":
            output = encodings[node.args[0]]
        elif not is_constant(node):
            encodings[node] = _emit(builder, graph, node, encodings)
    if output is None:
        raise FullintError("the captured model has no output")
    if output.scale.size != 1:
        raise FullintError(
            f"the logits '{output.name}' have a scale a class; give the role 'logits' a grid"
        )
    return IntegerProgram(
        input_name=input_name,
        input_shape=input_shape,
        operations=builder.operations,
        constants=builder.constants,
        output_name=output.name,
        logit_scale=float(output.scale.reshape(())),
    )


def _emit(
    builder: ProgramBuilder,
    graph: QuantizedGraph,
    node: torch.fx.Node,
    encodings: dict[torch.fx.Node, Encoding],
) -> Encoding:
    """Operations of one node; FullintErrors name it."""
    emission = Emission(builder, graph, node, encodings, graph.grids.get(node))
    try:
        return EMITTERS[node.target](emission)  # type: ignore[index]
    except FullintError as error:
        raise FullintError(f"{emission.source} ({node.name}): {error}") from None
