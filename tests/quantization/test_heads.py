"""Which channel of a query/key/value layer belongs to which head, found by disturbing channels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, fx, nn

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.quantization.granularity import TENSOR, Groups
from fullint.quantization.graph import GraphRunner
from fullint.quantization.heads import head_groups

from ..small_models import captured, normal_form_of, pixels, size_of, with_effect


def linears_into_attention(graph: fx.GraphModule) -> list[fx.Node]:
    return [
        node
        for node in graph.graph.nodes
        if node.target is normal_form.linear and len(reached_products(node)) > 0
    ]


def reached_products(node: fx.Node) -> set[fx.Node]:
    layout = {normal_form.reshape, normal_form.permute, normal_form.slice, normal_form.scale}
    found = set()
    for user in node.users:
        if user.target is normal_form.matmul:
            found.add(user)
        elif user.target in layout:
            found |= reached_products(user)
    return found


def operands(module: fx.GraphModule, linear: fx.Node, batch: Tensor, channel: int) -> dict:
    """The operands of the products that read `linear`, with one of its channels disturbed."""
    products = reached_products(linear)
    found: dict[tuple[str, int], Tensor] = {}

    def hook(node: fx.Node, value: Tensor) -> Tensor:
        if node is linear and channel >= 0:
            value = value.clone()
            value[..., channel] += 1
        return value

    class Watching(GraphRunner):
        def run_node(self, n: fx.Node) -> object:
            if n in products:
                values, _ = self.fetch_args_kwargs_from_env(n)
                for index, (operand, value) in enumerate(zip(n.args, values, strict=True)):
                    # The attention map changes too, but only in consequence.
                    if operand.target is not normal_form.softmax:
                        found[n.name, index] = value
            return super().run_node(n)

    with torch.no_grad():
        Watching(module, hook).run(batch)
    return found


@pytest.mark.parametrize("name", ["vit", "swin", "padded swin"])
def test_channels_are_grouped_by_the_operand_and_head_they_reach(name: str) -> None:
    module = normal_form_of(name)
    batch = pixels(1, size_of(name))
    for linear in linears_into_attention(module)[:2]:
        groups = head_groups(module.graph, linear)
        assert groups.channel_group is not None
        undisturbed = operands(module, linear, batch, -1)
        seen: dict[tuple[str, int, int], int] = {}
        for channel, group in enumerate(groups.channel_group.tolist()):
            disturbed = operands(module, linear, batch, channel)
            changed = {
                (*key, head)
                for key, before in undisturbed.items()
                for head in range(before.shape[-3])
                if not torch.equal(before.select(-3, head), disturbed[key].select(-3, head))
            }
            assert len(changed) == 1
            assert seen.setdefault(changed.pop(), group) == group
        assert sorted(seen.values()) == list(range(groups.count)) == list(range(len(seen)))


class SeparateAttention(nn.Module):
    """Query, key and value from layers of their own, and what goes on behind them."""

    def __init__(self, width: int = 12, heads: int = 3, value_width: int = 12) -> None:
        super().__init__()
        self.heads = heads
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value = nn.Linear(width, value_width)
        self.head = nn.Linear(value_width, 4)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        query, key, value = (
            layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        attention = (query @ key.transpose(-2, -1)).softmax(-1)
        return self.head((attention @ value).transpose(1, 2).flatten(2).mean(1))


def named(module: fx.GraphModule, name: str) -> fx.Node:
    return next(node for node in module.graph.nodes if node.name == name)


@pytest.mark.parametrize("layer", ["query", "key", "value"])
def test_separate_linears_have_one_group_a_head(layer: str) -> None:
    module = captured(with_effect(SeparateAttention(value_width=6)))
    groups = head_groups(module.graph, named(module, layer))
    size = 2 if layer == "value" else 4
    assert groups.channel_group is not None
    assert groups.channel_group.tolist() == [head for head in range(3) for _ in range(size)]


def test_one_head_of_a_separate_linear_is_the_whole_tensor() -> None:
    module = captured(with_effect(SeparateAttention(heads=1)))
    assert head_groups(module.graph, named(module, "query")) == TENSOR


def test_a_layer_that_no_attention_reads_is_one_group() -> None:
    module = normal_form_of("vit")
    assert head_groups(module.graph, named(module, "blocks_0_mlp_fc1")) == TENSOR


class UnevenAttention(SeparateAttention):
    """Query and key take 8 of the 12 channels, value the other 4, of one layer."""

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.query(self.patches(image).flatten(2).transpose(1, 2))
        query, value = (
            part.unflatten(-1, (2, -1)).transpose(1, 2) for part in tokens.split([8, 4], dim=-1)
        )
        attention = (query @ query.transpose(-2, -1)).softmax(-1)
        return (attention @ value).transpose(1, 2).flatten(2).mean(1)


def test_uneven_heads_are_refused_by_name() -> None:
    module = captured(with_effect(UnevenAttention()))
    with pytest.raises(FullintError, match="'query' does not split evenly into attention heads"):
        head_groups(module.graph, named(module, "query"))


def test_split_and_broadcast_are_inverse() -> None:
    groups = Groups(torch.tensor([2, 0, 1, 0, 1, 2]))
    values = torch.arange(24.0).reshape(2, 2, 6)
    split = groups.split(values)
    assert split.shape == (3, 8)
    for group in range(3):
        members = values[..., groups.channel_group == group]
        assert sorted(split[group].tolist()) == sorted(members.flatten().tolist())
    assert groups.broadcast(torch.tensor([10.0, 20.0, 30.0])).tolist() == [30, 10, 20, 10, 20, 30]


def test_single_channels_and_the_whole_tensor() -> None:
    values = torch.arange(12.0).reshape(2, 2, 3)
    assert torch.equal(TENSOR.split(values), values.reshape(1, -1))
    assert torch.equal(Groups(torch.arange(3)).split(values), values.reshape(-1, 3).T)
    assert TENSOR.broadcast(torch.tensor([5.0])).shape == ()


def test_whole_operands_are_three_groups_of_a_fused_layer() -> None:
    module = normal_form_of("vit")
    groups = head_groups(module.graph, named(module, "blocks_0_attn_qkv"), whole_operands=True)
    channels = groups.channel_group
    assert channels is not None and groups.count == 3
    assert channels.reshape(3, -1).eq(torch.arange(3)[:, None]).all()
