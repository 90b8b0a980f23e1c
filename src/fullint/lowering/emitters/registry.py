"""Where emitters register themselves, and what they are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch.fx

from fullint.errors import FullintError
from fullint.lowering.context import ProgramBuilder
from fullint.lowering.encoding import Encoding
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.grids import Grid, UniformGrid

EMITTERS: dict[Callable[..., object], Callable[[Emission], Encoding]] = {}


@dataclass(frozen=True)
class Emission:
    """One node to lower."""

    builder: ProgramBuilder
    graph: QuantizedGraph
    node: torch.fx.Node
    encodings: dict[torch.fx.Node, Encoding]
    grid: Grid | None

    @property
    def source(self) -> str:
        """Module path of the node, for messages."""
        return str(self.node.meta.get("module_path") or self.node.name)

    @property
    def name(self) -> str:
        """Name of the node's tensor in the program."""
        return self.node.name

    def input(self, index: int = 0) -> Encoding:
        """Encoding of a positional argument; FullintError if it is a constant."""
        return self.encodings[self.node.args[index]]  # type: ignore[index]

    def constant(self, node: object) -> np.ndarray:
        """Values of a constant of the float graph, float64."""
        tensor = getattr(self.graph.module, node.target)  # type: ignore[attr-defined]
        return tensor.detach().double().cpu().numpy()  # type: ignore[no-any-return]

    def uniform_grid(self) -> UniformGrid:
        """The output's grid, which this operation needs."""
        if not isinstance(self.grid, UniformGrid):
            raise FullintError(
                f"recipe '{self.graph.recipe.name}' gives the output of {self.source} ('{self.name}') no uniform grid, "
                f"which its role '{self.graph.roles.get(self.node, 'none')}' needs"
            )
        return self.grid

    def finish(self, value: Encoding) -> Encoding:
        """Round accumulators onto the output's grid, if it has one."""
        if self.grid is None:
            return value
        return self.builder.emit_requantize(value, self.uniform_grid(), self.name, source=self.source)

    def pending_name(self) -> str:
        """Name for the accumulators: the node's own if nothing rounds them."""
        return self.name if self.grid is None else f"{self.name}.accumulators"


def register(
    target: Callable[..., object],
) -> Callable[[Callable[[Emission], Encoding]], Callable[[Emission], Encoding]]:
    """Make an emitter known for a function of the normal form."""

    def decorate(emitter: Callable[[Emission], Encoding]) -> Callable[[Emission], Encoding]:
        EMITTERS[target] = emitter
        return emitter

    return decorate
