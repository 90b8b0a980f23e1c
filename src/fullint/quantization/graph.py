"""The quantized graph: a captured model, a quantizer on every edge the recipe names, and the grids
once they are chosen.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.fx
from torch import Tensor

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.granularity import TENSOR, Groups, TokenPositions
from fullint.quantization.grids import Grid, UniformGrid
from fullint.quantization.heads import head_groups
from fullint.quantization.quantizers import Quantizer, make_quantizer
from fullint.quantization.roles import assign_roles, consumers
from fullint.quantization.weights import weight_grid
from fullint.recipes.schema import Recipe, SharedConfig, UniformConfig

Hook = Callable[[torch.fx.Node, Tensor], Tensor]


class GraphRunner(torch.fx.Interpreter):
    """Runs a captured model and passes every node's value through a hook, which may look at it or
    replace it.
    """

    def __init__(self, module: torch.fx.GraphModule, hook: Hook) -> None:
        super().__init__(module)
        self.hook = hook

    def run_node(self, n: torch.fx.Node) -> object:
        """The node's value after the hook."""
        value = super().run_node(n)
        return self.hook(n, value) if isinstance(value, Tensor) else value


class QuantizedGraph:
    """A captured model under a recipe.

    Attributes:
        module: the captured model, float; transforms may have changed its constants.
        recipe: the declaration it was built from.
        roles: what each activation is for.
        quantizers: of activations, by node; nodes that share a grid share a quantizer.
        fixed_grids: of activations, which a transform has decided; calibration takes them over.
        grids: of weights and activations, by node, once calibrated.
    """

    def __init__(self, module: torch.fx.GraphModule, recipe: Recipe) -> None:
        self.module = module
        self.recipe = recipe
        self.roles = assign_roles(module.graph)
        self.quantizers = self._make_quantizers()
        self.fixed_grids: dict[torch.fx.Node, Grid] = {}
        self.grids: dict[torch.fx.Node, Grid] = {}

    def _make_quantizers(self) -> dict[torch.fx.Node, Quantizer]:
        quantizers: dict[torch.fx.Node, Quantizer] = {}
        shared: list[torch.fx.Node] = []
        for node, role in self.roles.items():
            config = self.recipe.activations.get(role)
            if isinstance(config, SharedConfig):
                shared.append(node)
            elif config is not None:
                quantizers[node] = make_quantizer(
                    config,
                    role=role,
                    groups=self._groups(node, config),
                    through=_next_activation(node),
                )
        for node in shared:
            addition = next((user for user in consumers(node) if user in quantizers), None)
            if addition is None:
                raise FullintError(
                    f"recipe '{self.recipe.name}': '{node.name}' shares the grid of the addition "
                    "that reads it, but that addition has none"
                )
            quantizers[node] = quantizers[addition]
        return quantizers

    def _groups(self, node: torch.fx.Node, config: object) -> Groups | TokenPositions:
        if isinstance(config, UniformConfig) and config.strategy == "token":
            # The first axis has the images. Of an attention's output (..., heads, tokens, channels)
            # a linear layer reads the heads of one token together: they share its scale.
            first = -2 if self.roles[node] == "attention_output" else 1
            return TokenPositions(tuple(node.meta["shape"][first:-1]))
        if isinstance(config, UniformConfig) and config.strategy in ("head", "operand"):
            whole_operands = config.strategy == "operand"
            return head_groups(self.module.graph, node, whole_operands=whole_operands)
        return TENSOR

    def choose_weight_grids(self) -> None:
        """Choose the grid of every linear layer's weight from its present values."""
        for node in self.module.graph.nodes:
            if node.target is normal_form.linear:
                weight = node.args[1]
                self.grids[weight] = weight_grid(
                    getattr(self.module, weight.target), self.recipe.weights
                )

    def calibrate(self, data: CalibrationData) -> None:
        """Show every quantizer the float model's tensors and freeze their grids."""
        for pass_index in range(self.passes):
            runner = GraphRunner(self.module, self._observing_hook(pass_index))
            for pixels in data.reported_batches(self.passes, pass_index):
                with torch.no_grad():
                    logits = runner.run(pixels)
                if not torch.isfinite(logits).all():
                    raise FullintError(
                        "the float model's logits are not finite on the calibration images; "
                        "check its weights"
                    )
        self.choose_weight_grids()
        frozen: dict[int, Grid] = {}
        for node, quantizer in self.quantizers.items():
            if id(quantizer) not in frozen:
                frozen[id(quantizer)] = quantizer.freeze()
            self.grids[node] = self.fixed_grids.get(node, frozen[id(quantizer)])

    @property
    def passes(self) -> int:
        """How many times calibration goes over the images."""
        return max((quantizer.passes for quantizer in self.quantizers.values()), default=0)

    def _observing_hook(self, pass_index: int) -> Hook:
        def hook(node: torch.fx.Node, value: Tensor) -> Tensor:
            quantizer = self.quantizers.get(node)
            if quantizer is not None and pass_index < quantizer.passes:
                quantizer.observe(value, pass_index)
            return value

        return hook

    def simulate(self, pixels: Tensor, hook: Hook | None = None) -> Tensor:
        """Logits of the quantized model in float arithmetic; differentiable but for rounding."""

        def quantizing_hook(node: torch.fx.Node, value: Tensor) -> Tensor:
            grid = self.grids.get(node)
            if grid is not None:
                value = grid.fake_quantize(value)
            return hook(node, value) if hook is not None else value

        return GraphRunner(self.module, quantizing_hook).run(pixels)

    def uniform_grid_of(self, node: torch.fx.Node) -> UniformGrid:
        """The uniform grid of a node; FullintError if it has none or another kind."""
        grid = self.grids.get(node)
        if not isinstance(grid, UniformGrid):
            raise FullintError(f"'{node.name}' needs a uniform grid to be lowered; it has {grid}")
        return grid


def _next_activation(node: torch.fx.Node) -> Callable[[Tensor], Tensor] | None:
    """The activation function that alone reads `node`, if there is one."""
    readers = consumers(node)
    if len(readers) == 1 and readers[0].target is normal_form.activation:
        kind = str(readers[0].args[1])
        return lambda values: normal_form.activation(values, kind)
    return None
