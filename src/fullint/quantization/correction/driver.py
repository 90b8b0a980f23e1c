"""Carries out a recipe's corrections, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
import torch.fx
from torch import Tensor

from fullint.data.selection import evenly_spread
from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.correction.layers import (
    CORRECTIONS,
    LayerProblem,
    SharedLayer,
    linear_layers,
)
from fullint.quantization.correction.lockstep import Lockstep
from fullint.quantization.correction.moments import InputMoments
from fullint.quantization.graph import QuantizedGraph
from fullint.recipes.steps import LayerCorrectionConfig

# The tensors of all images are held at once, and the moments of more tokens are much the same.
MOST_IMAGES = 128
# One part validates what the others suggest.
PARTS = 4


@torch.no_grad()
def correct_layers(
    graph: QuantizedGraph, configs: Sequence[LayerCorrectionConfig], data: CalibrationData
) -> None:
    """Apply corrections to every linear layer of a calibrated graph, in network order.

    Neighbours with the same `inputs` go together: a layer passes through all of them before the
    next one is looked at. All aim at the outputs of the model as it is given.
    """
    groups = [list(group) for _, group in groupby(configs, key=lambda config: config.inputs)]
    if not groups:
        return
    layers = linear_layers(graph.module.graph)
    reference = {
        constant: _parameter(graph, constant).clone()
        for layer in layers
        for constant in layer.constants
    }
    batches = evenly_chosen(data, MOST_IMAGES)
    done, total = 0, len(groups) * len(layers)
    for group in groups:
        for _ in _corrected_layers(graph, group, layers, reference, batches):
            done += 1
            data.report(done, total)


def evenly_chosen(data: CalibrationData, most: int) -> list[Tensor]:
    """At most `most` images, evenly spread over all, in batches."""
    wanted = set(evenly_spread(data.images, most))
    chosen, seen = [], 0
    for pixels in data.batches():
        kept = [index for index in range(len(pixels)) if seen + index in wanted]
        seen += len(pixels)
        if kept:
            chosen.append(pixels[kept])
    return chosen


def _corrected_layers(
    graph: QuantizedGraph,
    configs: list[LayerCorrectionConfig],
    layers: list[SharedLayer],
    reference: dict[torch.fx.Node, Tensor],
    batches: list[Tensor],
) -> Iterator[SharedLayer]:
    """Correct every layer as soon as its inputs are known, and yield it."""
    propagate = configs[0].inputs == "quantized"
    lockstep = Lockstep(graph, reference, batches, propagate=propagate)
    layer_of = {reader: layer for layer in layers for reader in layer.readers}
    moments: dict[SharedLayer, list[InputMoments]] = {}
    for node in graph.module.graph.nodes:
        layer = layer_of.get(node)
        if layer is not None:
            inputs = reference[layer.weight].shape[1]
            parts = moments.setdefault(layer, [InputMoments(inputs) for _ in range(PARTS)])
            seen = 0
            for rounded, exact in lockstep.images(node.args[0]):
                for index, part in enumerate(parts):
                    # In turn over all images, however few there are in a batch.
                    own = slice((index - seen) % PARTS, None, PARTS)
                    part.add(rounded[own], exact[own])
                seen += len(rounded)
            if node is layer.readers[-1]:
                _correct(graph, configs, layer, reference, moments.pop(layer))
                yield layer
        if node.op == "call_function":
            lockstep.advance(node)


def _correct(
    graph: QuantizedGraph,
    configs: list[LayerCorrectionConfig],
    layer: SharedLayer,
    reference: dict[torch.fx.Node, Tensor],
    parts: list[InputMoments],
) -> None:
    """Apply all corrections to one layer of the graph."""
    problem = LayerProblem(
        weight=_parameter(graph, layer.weight).double(),
        bias=None if layer.bias is None else _parameter(graph, layer.bias).double(),
        grid=graph.uniform_grid_of(layer.weight),
        reference_weight=reference[layer.weight].double(),
        reference_bias=None if layer.bias is None else reference[layer.bias].double(),
        parts=parts,
        config=graph.recipe.weights,
    )
    for config in configs:
        CORRECTIONS[type(config)](problem, config)
    graph.grids[layer.weight] = problem.grid
    _parameter(graph, layer.weight).copy_(problem.weight)
    if layer.bias is not None and problem.bias is not None:
        _parameter(graph, layer.bias).copy_(problem.bias)


def _parameter(graph: QuantizedGraph, constant: torch.fx.Node) -> Tensor:
    return getattr(graph.module, str(constant.target))
