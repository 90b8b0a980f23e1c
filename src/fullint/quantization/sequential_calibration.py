"""Calibration in network order: every tensor as the rounded layers before it give it."""

from __future__ import annotations

import torch

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.lockstep import MOST_IMAGES, Lockstep
from fullint.recipes.schema import MATRIX_OPERANDS


@torch.no_grad()
def recalibrate_in_order(graph: QuantizedGraph, data: CalibrationData) -> None:
    """Choose the grids of the operands of matrix products anew, one after the other, from tensors
    that carry the rounding errors of all grids before.

    What RepQ-ViT's code does, as each of its quantizers starts to round with the first batch that
    it sees. The residual stream and other wide grids stay as calibrated on the float model, and so
    do those that a transform has fixed.
    """
    lockstep = Lockstep(graph, {}, data.evenly_chosen(MOST_IMAGES), propagate=True)
    quantizers = graph.new_quantizers()
    nodes = [node for node in graph.module.graph.nodes if node.op == "call_function"]
    for done, node in enumerate(nodes):
        data.report(done, len(nodes))
        lockstep.compute(node)
        if graph.roles.get(node) in MATRIX_OPERANDS and node not in graph.fixed_grids:
            quantizer = quantizers[node]
            for pass_index in range(quantizer.passes):
                for value in lockstep.values(node):
                    quantizer.observe(value, pass_index)
            graph.grids[node] = quantizer.freeze()
        lockstep.round(node)
    data.report(len(nodes), len(nodes))
