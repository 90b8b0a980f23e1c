"""LayerNorms whose output channels can be scaled and shifted without changing the model.

LayerNorm's gain and offset can take any scale and shift of a channel, and the linear layers that
read it can undo both: gamma / r and (beta - c) / r in front, columns times r and bias plus W c
behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.fx
from torch import Tensor

from fullint.capture import normal_form
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.transforms.constants import constants_of, own_bias, parameter
from fullint.quantization.transforms.readers import linear_readers


@dataclass(frozen=True)
class FoldableLayerNorm:
    """A LayerNorm that only linear layers read, all with constants of their own: what another layer
    shares cannot be changed for one. A grid that was fixed for it does not survive a change.
    """

    graph: QuantizedGraph
    node: torch.fx.Node
    readers: list[torch.fx.Node]

    @property
    def weight(self) -> Tensor:
        """Rows of all layers that read the channels, (outputs, channels), float64."""
        weights = [parameter(self.graph.module, linear.args[1]) for linear in self.readers]
        return torch.cat(weights).double()

    @property
    def affine(self) -> tuple[Tensor, Tensor]:
        """Gain and offset, (channels,) each, as stored."""
        gamma, beta = (parameter(self.graph.module, argument) for argument in self.node.args[1:3])
        return gamma, beta

    def shift(self, center: Tensor) -> None:
        """Subtract center (channels,), float64; the model's output stays."""
        self.fold(torch.ones_like(center), center)

    def fold(self, factors: Tensor, center: Tensor) -> None:
        """Make the channels (x - center) / factors, both (channels,), float64; the model's output
        stays.
        """
        self.graph.fixed_grids.pop(self.node, None)
        gamma, beta = self.affine
        gamma.copy_(gamma / factors)
        beta.copy_((beta - center) / factors)
        for linear in self.readers:
            columns = parameter(self.graph.module, linear.args[1])
            bias = own_bias(self.graph.module, linear)
            bias.copy_(bias + torch.mv(columns.double(), center))
            columns.copy_(columns * factors)

    def erase(self, channels: Tensor) -> None:
        """Let no weight read some channels (channels,), bool, that are always zero, and give them
        gain 1, as none is needed.
        """
        for linear in self.readers:
            parameter(self.graph.module, linear.args[1])[:, channels] = 0
        self.affine[0][channels] = 1


def foldable_layer_norms(graph: QuantizedGraph) -> dict[torch.fx.Node, FoldableLayerNorm]:
    """All of a model, by node."""
    return {
        node: FoldableLayerNorm(graph, node, readers)
        for node in graph.module.graph.nodes
        if node.target is normal_form.layer_norm
        and (readers := linear_readers(node))
        and all(
            len(constant.users) == 1
            for reader in (node, *readers)
            for constant in constants_of(reader)
        )
    }
