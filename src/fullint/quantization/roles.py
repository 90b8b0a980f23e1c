"""Roles: what each tensor of a captured model is for. Recipes choose grids by role.

A role follows from the operation that makes a tensor and the operations that read it, looking through layout operations.
"""

from __future__ import annotations

import torch.fx

from fullint.capture import normal_form
from fullint.recipes.schema import Role

LAYOUT = {
    normal_form.reshape,
    normal_form.permute,
    normal_form.slice,
    normal_form.roll,
    normal_form.scale,
}
TRANSPARENT_FOR_CONSUMERS = LAYOUT | {normal_form.concat}


def is_constant(node: object) -> bool:
    """Whether a graph argument is a constant of the model."""
    return isinstance(node, torch.fx.Node) and node.op == "get_attr"


def adds_constant(node: torch.fx.Node) -> bool:
    """Whether a node adds a constant: a bias to accumulators, not a residual addition."""
    return node.target is normal_form.add and any(is_constant(argument) for argument in node.args)


def consumers(node: torch.fx.Node) -> list[torch.fx.Node]:
    """The nodes that read `node`'s values, through layout operations and concatenation; the graph's output counts."""
    found: list[torch.fx.Node] = []
    for user in node.users:
        if user.target in TRANSPARENT_FOR_CONSUMERS:
            found.extend(consumers(user))
        else:
            found.append(user)
    return found


def assign_roles(graph: torch.fx.Graph) -> dict[torch.fx.Node, Role]:
    """Role of every node that has one; other nodes (layout, constants, biases on accumulators) pass integers on unchanged."""
    roles: dict[torch.fx.Node, Role] = {}
    for node in graph.nodes:
        if node.op == "call_function" and node.target not in TRANSPARENT_FOR_CONSUMERS:
            role = _role(node)
            if role is not None:
                roles[node] = role
    return roles


def _role(node: torch.fx.Node) -> Role | None:
    readers = consumers(node)
    kinds = {reader.target for reader in readers}
    if any(reader.op == "output" for reader in readers):
        return "logits"
    if node.target is normal_form.softmax:
        return "attention_map"
    if normal_form.softmax in kinds:
        return "attention_scores"
    if any(adds_constant(reader) for reader in readers):
        return None
    if kinds & {normal_form.layer_norm, normal_form.add} and not _is_branch(node, readers):
        return "residual"
    if normal_form.add in kinds:
        return "residual_branch"
    if node.target is normal_form.mean:
        return "pooled"
    if normal_form.activation in kinds:
        return "activation_input"
    if node.target is normal_form.activation:
        return "activation"
    if node.target is normal_form.layer_norm:
        return "normalized"
    if node.target is normal_form.matmul:
        return "attention_output"
    return "query_key_value"


def _is_branch(node: torch.fx.Node, readers: list[torch.fx.Node]) -> bool:
    """A linear layer's output that only an addition reads ends a branch; everything else an addition reads is the stream."""
    return node.target is normal_form.linear and all(reader.target is normal_form.add for reader in readers)
