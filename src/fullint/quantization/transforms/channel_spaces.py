"""Channel spaces: tensors whose last axes carry the same channels in the same order, with all
constants that would have to change if the order did.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch.fx

from fullint.capture import normal_form
from fullint.quantization.roles import is_constant
from fullint.quantization.transforms.constants import constants_of
from fullint.quantization.transforms.readers import keeps_channels


@dataclass
class ChannelSpace:
    """One order of channels.

    Attributes:
        channels: how many.
        writers, readers: linear layers whose outputs, or inputs, are these channels.
        nodes: all tensors and constants (LayerNorms' gains and offsets, embeddings, class tokens)
            whose last axis they are.
        fixed: whether something depends on the order: heads, the image, the logits, what several
            layers share.
    """

    channels: int
    writers: list[torch.fx.Node] = field(default_factory=list)
    readers: list[torch.fx.Node] = field(default_factory=list)
    nodes: list[torch.fx.Node] = field(default_factory=list)
    fixed: bool = False

    @property
    def constants(self) -> list[torch.fx.Node]:
        """Those of the nodes that are constants."""
        return [node for node in self.nodes if is_constant(node)]

    def absorb(self, other: ChannelSpace) -> None:
        """Become the union of both."""
        self.writers += other.writers
        self.readers += other.readers
        self.nodes += other.nodes
        self.fixed |= other.fixed


def find_channel_spaces(graph: torch.fx.Graph) -> list[ChannelSpace]:
    """All spaces of a model whose order is free."""
    spaces: dict[torch.fx.Node, ChannelSpace] = {}
    for node in graph.nodes:
        if node.op == "call_function":
            _join(node, spaces)
    distinct = {id(space): space for space in spaces.values()}
    return [space for space in distinct.values() if not space.fixed]


def _join(node: torch.fx.Node, spaces: dict[torch.fx.Node, ChannelSpace]) -> None:
    """Give a node its space, and its operands what they need to know of it."""
    own = spaces[node] = ChannelSpace(node.meta["shape"][-1], nodes=[node])
    own.fixed = any(user.op == "output" for user in node.users)
    if node.target is normal_form.linear:
        shared = any(len(constant.users) > 1 for constant in constants_of(node))
        source = _space(node.all_input_nodes[0], spaces)
        source.readers.append(node)
        own.writers.append(node)
        source.fixed |= shared
        own.fixed |= shared
        return
    for operand in node.all_input_nodes:
        source = _space(operand, spaces)
        if source is spaces[node]:
            continue
        if not _same_channels(node):
            source.fixed = spaces[node].fixed = True
        elif source.channels == own.channels:
            _unite(source, spaces[node], spaces)


def _same_channels(node: torch.fx.Node) -> bool:
    """Whether a node treats every channel of its operands apart, and keeps their order."""
    last = len(node.meta["shape"]) - 1
    match node.target:
        case normal_form.layer_norm | normal_form.activation | normal_form.scale | normal_form.add:
            return True
        case normal_form.concat:
            return bool(node.args[1] != last)
        case normal_form.mean:
            return last + len(node.args[1]) not in node.args[1]  # type: ignore[arg-type,operator]
    return keeps_channels(node)


def _space(operand: torch.fx.Node, spaces: dict[torch.fx.Node, ChannelSpace]) -> ChannelSpace:
    if operand not in spaces:
        spaces[operand] = ChannelSpace(
            operand.meta["shape"][-1], nodes=[operand], fixed=not is_constant(operand)
        )
    return spaces[operand]


def _unite(
    source: ChannelSpace, target: ChannelSpace, spaces: dict[torch.fx.Node, ChannelSpace]
) -> None:
    source.absorb(target)
    for node in target.nodes:
        spaces[node] = source
