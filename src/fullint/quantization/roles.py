"""Roles: what each tensor of a captured model is for. Recipes choose grids by role.

A role follows from the operation that makes a tensor and the operations that read it, looking
through layout operations.
"""

from __future__ import annotations

from collections.abc import Collection

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
ACCUMULATING = {normal_form.linear, normal_form.matmul, normal_form.mean}
TRANSPARENT_FOR_CONSUMERS = LAYOUT | {normal_form.concat}


def is_constant(node: object) -> bool:
    """Whether a graph argument is a constant of the model."""
    return isinstance(node, torch.fx.Node) and node.op == "get_attr"


def adds_constant(node: torch.fx.Node) -> bool:
    """Whether a node adds a constant, as opposed to a residual addition."""
    return node.target is normal_form.add and any(is_constant(argument) for argument in node.args)


def joins_constant(node: torch.fx.Node) -> bool:
    """Whether a node joins a constant (a class token, padding) to something computed."""
    return node.target is normal_form.concat and any(
        is_constant(operand) for operand in node.all_input_nodes
    )


def accumulates(node: torch.fx.Node) -> bool:
    """Whether a node's value is sums of products, which constants can join before a rounding."""
    if node.target in ACCUMULATING:
        return True
    if node.target in LAYOUT or adds_constant(node) or node.target is normal_form.concat:
        return all(
            accumulates(operand) for operand in node.all_input_nodes if not is_constant(operand)
        )
    return False


def consumers(
    node: torch.fx.Node, transparent: Collection[object] = TRANSPARENT_FOR_CONSUMERS
) -> list[torch.fx.Node]:
    """The nodes that read `node`'s values, through layout operations and concatenation; the
    graph's output counts.
    """
    found: list[torch.fx.Node] = []
    for user in node.users:
        found.extend(consumers(user, transparent) if user.target in transparent else [user])
    return found


def assign_roles(graph: torch.fx.Graph) -> dict[torch.fx.Node, Role]:
    """Role of every node that has one; other nodes (layout, constants, accumulators that a constant
    joins first) pass integers on unchanged.
    """
    roles: dict[torch.fx.Node, Role] = {}
    for node in graph.nodes:
        is_rounded = node.target not in LAYOUT and (
            node.target is not normal_form.concat or accumulates(node)
        )
        if node.op == "call_function" and is_rounded:
            role = _role(node)
            if role is not None:
                roles[node] = role
    return roles


def _role(node: torch.fx.Node) -> Role | None:
    readers = consumers(node)
    kinds = {reader.target for reader in readers}
    if _is_logits(node):
        return "logits"
    if node.target is normal_form.softmax:
        return "attention_map"
    if _reaches_softmax(node):
        # Position biases and masks join the scores behind their grid: a mask of -100 in its range
        # would leave the scores themselves a few codes.
        return None if adds_constant(node) else "attention_scores"
    if _awaits_constant(node):
        return None
    if _is_branch(node, readers):
        return "residual_branch"
    if node.target is normal_form.add and not accumulates(node):
        return "residual"
    if kinds & {normal_form.layer_norm, normal_form.add}:
        return "residual"
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


def _is_logits(node: torch.fx.Node) -> bool:
    """Whether only the output reads a node, or a sum that only the output reads (two heads)."""
    return all(
        reader.op == "output" or (reader.target is normal_form.add and _is_logits(reader))
        for reader in consumers(node)
    )


def _reaches_softmax(node: torch.fx.Node) -> bool:
    return any(
        reader.target is normal_form.softmax or (adds_constant(reader) and _reaches_softmax(reader))
        for reader in consumers(node)
    )


def _awaits_constant(node: torch.fx.Node) -> bool:
    """Whether constants join a node's accumulators before anything else reads them."""
    return accumulates(node) and all(
        adds_constant(reader) or joins_constant(reader) for reader in consumers(node, LAYOUT)
    )


def _is_branch(node: torch.fx.Node, readers: list[torch.fx.Node]) -> bool:
    """Accumulators that only an addition reads end a branch; everything else an addition reads is
    the stream.
    """
    return accumulates(node) and all(reader.target is normal_form.add for reader in readers)
