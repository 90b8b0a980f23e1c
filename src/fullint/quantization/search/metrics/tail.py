"""Running the float model on from one of its products."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.fx
from torch import Tensor
from torch.fx.node import map_arg

from fullint.capture import normal_form
from fullint.quantization.roles import adds_constant, is_constant
from fullint.quantization.transforms.constants import parameter


class Tail:
    """The part of a model from a node to another one that depends on it.

    Attributes:
        inputs: the nodes it needs besides, constants left out.
    """

    def __init__(
        self, module: torch.fx.GraphModule, start: torch.fx.Node, end: torch.fx.Node
    ) -> None:
        self.module, self.start, self.end = module, start, end
        needed = _with_inputs(end)
        affected = {start}
        for node in module.graph.nodes:
            if node in needed and affected & set(node.all_input_nodes):
                affected.add(node)
        self.nodes = [node for node in module.graph.nodes if node in affected - {start}]
        self.inputs = {
            source
            for node in self.nodes
            for source in node.all_input_nodes
            if source not in affected and not is_constant(source)
        }

    def run(self, value: Tensor, inputs: Mapping[torch.fx.Node, Tensor]) -> Tensor:
        """Value of `end` if `start` has `value`."""
        values = {self.start: value}

        def look_up(node: torch.fx.Node) -> Tensor:
            if is_constant(node):
                return parameter(self.module, node)
            return values[node] if node in values else inputs[node]

        with torch.no_grad():
            for node in self.nodes:
                values[node] = node.target(*map_arg(node.args, look_up))
        return values[self.end]


def logits_node(graph: torch.fx.Graph) -> torch.fx.Node:
    """The node that gives the logits."""
    output = next(node for node in graph.nodes if node.op == "output")
    return output.all_input_nodes[0]


def block_end(product: torch.fx.Node) -> torch.fx.Node:
    """The residual addition that closes the branch a product is in; the logits behind the last."""
    reached = {product}
    for node in product.graph.nodes:
        if reached & set(node.all_input_nodes):
            if node.target is normal_form.add and not adds_constant(node):
                return node
            reached.add(node)
    return logits_node(product.graph)


def _with_inputs(end: torch.fx.Node) -> set[torch.fx.Node]:
    found: set[torch.fx.Node] = set()
    waiting = [end]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found
