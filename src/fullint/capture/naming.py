"""From the finished graph to a GraphModule with readable names.

Nodes are named after the module they come from: blocks_0_attn_qkv for the linear layer that is that
module, blocks_0_attn_softmax for the softmax inside blocks.0.attn.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, fx, nn

from fullint.capture.builder import describe
from fullint.capture.shapes import for_one_image
from fullint.errors import FullintError

_ROLES = {"linear": ("", "weight", "bias"), "layer_norm": ("", "weight", "bias")}


def named_graph_module(
    graph: fx.Graph, constants: Mapping[str, Tensor], model: nn.Module
) -> fx.GraphModule:
    """The graph with its final names and `meta`, its constants as buffers of the GraphModule.

    `model` is the user's model: an operation that is all of one of its modules gets that module's
    name.
    """
    leaves = {
        path for path, module in model.named_modules() if path and not list(module.children())
    }
    root = nn.Module()
    result = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        name = (
            _constant_name(node, leaves) if node.op == "get_attr" else _operation_name(node, leaves)
        )
        arguments = fx.map_arg(node.args, lambda argument: copies[argument])
        copy = result.create_node(node.op, node.target, arguments, {}, name=name)
        if node.op == "get_attr":
            copy.target = copy.name
            root.register_buffer(copy.name, _checked(constants[node.target], node).contiguous())
        copies[node] = copy
        copy.meta = {key: value for key, value in node.meta.items() if key != "probe_shape"}
        copy.meta["shape"] = for_one_image(node.meta["probe_shape"])
    return fx.GraphModule(root, result, class_name="CapturedModel")


def _operation_name(node: fx.Node, leaves: set[str]) -> str:
    if node.op != "call_function":
        return node.name
    function, path = node.target.__name__, node.meta["module_path"]  # type: ignore[union-attr]
    prefix = path.replace(".", "_")
    if path in leaves and function in ("linear", "layer_norm", "activation", "softmax"):
        return prefix
    return f"{prefix}_{function}" if prefix else function


def _constant_name(node: fx.Node, leaves: set[str]) -> str:
    if "parameter" in node.meta:
        return str(node.meta["parameter"]).replace(".", "_")
    user = next(iter(node.users))
    roles = _ROLES.get(user.target.__name__, ())  # type: ignore[union-attr]
    role = roles[user.args.index(node)] if roles else "constant"
    return f"{_operation_name(user, leaves)}_{role}"


def _checked(constant: Tensor, node: fx.Node) -> Tensor:
    if not constant.isfinite().all():
        raise FullintError(
            f"a constant of {describe(node.meta['module_path'])} contains NaN or infinity, which "
            "no integer stands for; use a large finite number instead (-100 does in a mask)"
        )
    return constant
