"""Constants of a captured model, to be changed in place."""

from __future__ import annotations

import torch
import torch.fx
from torch import Tensor

from fullint.quantization.roles import is_constant


def constants_of(node: torch.fx.Node) -> list[torch.fx.Node]:
    """The constants that a node reads."""
    return [operand for operand in node.all_input_nodes if is_constant(operand)]


def parameter(module: torch.fx.GraphModule, node: torch.fx.node.Argument) -> Tensor:
    """The constant behind a graph argument, as stored: changing it in place changes the model."""
    assert isinstance(node, torch.fx.Node)
    return getattr(module, str(node.target))


def own_bias(module: torch.fx.GraphModule, linear: torch.fx.Node) -> Tensor:
    """The bias (outputs,) of a linear layer, as stored; a layer without one gets zeros."""
    if linear.args[2] is None:
        name = f"{linear.name}_bias"
        outputs = len(parameter(module, linear.args[1]))
        module.register_buffer(name, torch.zeros(outputs))
        with module.graph.inserting_before(linear):
            node = module.graph.get_attr(name)
        node.meta = {"shape": (outputs,), "module_path": linear.meta["module_path"]}
        linear.update_arg(2, node)
        module.recompile()
    return parameter(module, linear.args[2])
