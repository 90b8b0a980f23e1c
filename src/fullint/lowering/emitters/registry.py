"""Where emitters register themselves, and what they are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.fx

from fullint.errors import FullintError
from fullint.integer.program import Attribute
from fullint.lowering.context import ProgramBuilder
from fullint.lowering.encoding import Encoding
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.grids import Grid, UniformGrid

EMITTERS: dict[Callable[..., object], Callable[[Emission], Encoding]] = {}


@dataclass(frozen=True)
class Emission:
    """One node to lower. Errors need not name it: `lower` does."""

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
        """Name of the tensor to emit."""
        return self.node.name

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The node's arguments, as the normal form types them."""
        return self.node.args

    @property
    def rank(self) -> int:
        """Number of axes of the node's tensor."""
        return len(self.node.meta["shape"])

    def encoding_of(self, node: torch.fx.Node) -> Encoding:
        """Encoding of a computed tensor, whatever its codes mean."""
        if node not in self.encodings:
            raise FullintError(f"it reads the constant '{node.name}' where a tensor is needed")
        return self.encodings[node]

    def numbers(self, node: torch.fx.Node) -> Encoding:
        """Encoding of a computed tensor whose codes are evenly spaced numbers."""
        encoding = self.encoding_of(node)
        if encoding.kind != "uniform":
            raise FullintError(
                f"it reads the {encoding.kind} codes of '{encoding.name}'; only an attention "
                "product can, give 'attention_map' another grid"
            )
        return encoding

    def constant(self, node: torch.fx.Node) -> np.ndarray:
        """Values of a constant of the float graph, float64."""
        tensor = getattr(self.graph.module, str(node.target))
        return tensor.detach().double().cpu().numpy()

    def uniform_grid(self) -> UniformGrid:
        """The output's grid, which this operation needs."""
        if not isinstance(self.grid, UniformGrid):
            raise FullintError(
                f"recipe '{self.graph.recipe.name}' gives it no uniform grid, which its role "
                f"'{self.graph.roles.get(self.node, 'none')}' needs"
            )
        return self.grid

    def emit(self, kind: str, inputs: list[str], output: str, **attributes: Attribute) -> str:
        """Append an operation of this node; returns the name of its output."""
        return self.builder.emit(kind, inputs, output, source=self.source, **attributes)

    def add_constant(self, part: str, values: np.ndarray) -> str:
        """Store a constant of this node; returns its name."""
        return self.builder.add_constant(f"{self.name}.{part}", values)

    def finish(self, value: Encoding) -> Encoding:
        """Round accumulators onto the output's grid, if it has one."""
        if self.grid is None:
            return value
        grid = self.uniform_grid()
        return self.builder.emit_requantize(value, grid, self.name, source=self.source)

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
