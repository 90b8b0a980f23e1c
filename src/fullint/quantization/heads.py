"""Which output channels of a query/key/value layer belong to which operand and head."""

from __future__ import annotations

import torch
import torch.fx

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.quantization.granularity import TENSOR, Groups
from fullint.quantization.roles import LAYOUT


def head_groups(
    graph: torch.fx.Graph, linear: torch.fx.Node, *, whole_operands: bool = False
) -> Groups:
    """One group for each head of each attention operand (query, key, value) that `linear`
    produces, or with `whole_operands` for each operand.

    Found by sending channel numbers through the layout operations to the attention products: the
    third axis from the end of an operand is its heads. One group where no attention product reads
    the layer.

    Raises:
        FullintError: heads of different sizes, or channels that are in no head.
    """
    shape = linear.meta["shape"]
    numbers = {linear: torch.arange(shape[-1], dtype=torch.float64).expand(shape)}
    group = torch.full((shape[-1],), -1)
    heads: set[tuple[int, ...]] = set()
    for node in graph.nodes:
        sources = [argument for argument in node.all_input_nodes if argument in numbers]
        if not sources:
            continue
        if node.target in LAYOUT:
            numbers[node] = moved(node, numbers[sources[0]])
        elif node.target is normal_form.matmul:
            for source in sources:
                for head in [numbers[source]] if whole_operands else _heads(numbers[source]):
                    channels = head.unique().long()
                    key = tuple(channels.tolist())
                    if key not in heads:
                        group[channels] = len(heads)
                        heads.add(key)
    if not heads:
        return TENSOR
    if (group < 0).any() or len(torch.bincount(group).unique()) != 1:
        raise FullintError(
            f"'{linear.name}' does not split evenly into attention heads; use strategy 'tensor'"
        )
    return Groups(group) if len(heads) > 1 else TENSOR


def moved(node: torch.fx.Node, numbers: torch.Tensor) -> torch.Tensor:
    """What a layout operation makes of `numbers`, which stand for the values it reads; a factor
    leaves them as they are.
    """
    if node.target is normal_form.scale:
        return numbers
    return node.target(numbers, *node.args[1:], **node.kwargs)  # type: ignore[operator]


def _heads(numbers: torch.Tensor) -> list[torch.Tensor]:
    """Slices of an attention operand along its head axis."""
    return [numbers] if numbers.ndim < 3 else list(numbers.movedim(-3, 0))
