"""The float model and its rounded counterpart, run side by side over all images, one node at a
time: at every layer the inputs of both are at hand, and what was corrected before is in effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import torch.fx
from torch import Tensor

from fullint.capture import normal_form
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.roles import LAYOUT, is_constant

Values = dict[torch.fx.Node, Tensor]
PASSES_ROUNDING_ON = LAYOUT | {normal_form.concat}


class Lockstep:
    """Both models at the same node.

    Memory: the tensors alive at one node, twice, for all images (DeiT-tiny: 1.5 MB an image).

    Args:
        graph: the quantized graph; its constants and grids are read anew at each node.
        reference: the float model's constants, where corrections change them.
        batches: of pixels.
        propagate: whether the rounded model's tensors follow from its own, with the errors of all
            layers before, or each node rounds what the float model gives.
    """

    def __init__(
        self,
        graph: QuantizedGraph,
        reference: Mapping[torch.fx.Node, Tensor],
        batches: list[Tensor],
        *,
        propagate: bool,
    ) -> None:
        self.graph = graph
        self.reference = reference
        self.propagate = propagate
        self._last_reader = _last_readers(graph.module.graph)
        (pixels,) = (node for node in graph.module.graph.nodes if node.op == "placeholder")
        self._counts = [len(batch) for batch in batches]
        self._float: list[Values] = [{pixels: batch} for batch in batches]
        self._rounded: list[Values] = [{pixels: batch} for batch in batches]

    def images(self, node: torch.fx.Node) -> Iterator[tuple[Tensor, Tensor]]:
        """A computed tensor of the rounded and of the float model, batch by batch, as (images,
        tokens, channels).
        """
        for count, rounded, exact in zip(self._counts, self._rounded, self._float, strict=True):
            shape = (count, -1, rounded[node].shape[-1])
            yield rounded[node].reshape(shape), exact[node].reshape(shape)

    def advance(self, node: torch.fx.Node) -> None:
        """Compute a node whose arguments are computed, and forget what nothing more reads."""
        constants = [argument for argument in node.all_input_nodes if is_constant(argument)]
        now = {constant: self._parameter(constant) for constant in constants}
        before = {constant: self.reference.get(constant, now[constant]) for constant in constants}
        rounded_now = {constant: self._on_grid(constant, now[constant]) for constant in constants}
        from_rounded = self.propagate or node.target in PASSES_ROUNDING_ON
        for rounded, exact in zip(self._rounded, self._float, strict=True):
            exact[node] = _evaluate(node, exact | before)
            value = _evaluate(node, rounded | rounded_now) if from_rounded else exact[node]
            rounded[node] = self._on_grid(node, value)
            for argument in node.all_input_nodes:
                if self._last_reader[argument] is node and not is_constant(argument):
                    del rounded[argument], exact[argument]

    def _parameter(self, constant: torch.fx.Node) -> Tensor:
        return getattr(self.graph.module, str(constant.target))

    def _on_grid(self, node: torch.fx.Node, value: Tensor) -> Tensor:
        grid = self.graph.grids.get(node)
        return value if grid is None else grid.fake_quantize(value)


def _evaluate(node: torch.fx.Node, values: Values) -> Tensor:
    arguments = torch.fx.node.map_arg(node.args, lambda argument: values[argument])
    return node.target(*arguments)  # type: ignore[operator]


def _last_readers(graph: torch.fx.Graph) -> dict[torch.fx.Node, torch.fx.Node]:
    return {argument: node for node in graph.nodes for argument in node.all_input_nodes}
