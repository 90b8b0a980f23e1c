"""Which channels of which layers an attention multiplies with each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.fx
from torch import Tensor

from fullint.capture import normal_form
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.heads import moved
from fullint.quantization.roles import LAYOUT, adds_constant, is_constant
from fullint.quantization.transforms.constants import constants_of, own_bias, parameter
from fullint.quantization.transforms.readers import keeps_channels


@dataclass(frozen=True)
class Operand:
    """Query, key or value.

    Attributes:
        module: the model.
        producer: the linear layer (or the LayerNorm behind one) whose channels these are.
        channels: their numbers (heads, channels a head), int64; heads that share channels repeat
            them.
    """

    module: torch.fx.GraphModule
    producer: torch.fx.Node
    channels: Tensor

    def shift(self, center: Tensor) -> None:
        """Subtract center (heads, channels a head), float64, from the channels."""
        offset = self._offset
        offset[self.channels] = (offset[self.channels] - center).to(offset.dtype)

    def divide(self, factors: Tensor) -> None:
        """Divide the channels by factors (heads, channels a head), float64."""
        gain = parameter(self.module, self.producer.args[1])
        every = torch.ones(len(gain), dtype=torch.float64)
        every[self.channels] = factors
        self._offset.copy_(self._offset / every)
        gain.copy_(gain / (every[:, None] if gain.ndim == 2 else every))

    @property
    def can_be_turned(self) -> bool:
        """Whether a linear layer makes the channels, and no head shares them with another."""
        is_linear = self.producer.target is normal_form.linear
        return is_linear and len(self.channels.unique()) == self.channels.numel()

    def rotate(self, rotations: Tensor) -> None:
        """Apply rotations (heads, channels a head, channels a head), float64, to the channels, if
        they can be turned.
        """
        for constant in (parameter(self.module, self.producer.args[1]), self._offset):
            heads = constant.double()[self.channels]
            turned = torch.einsum("hij,hj...->hi...", rotations, heads)
            constant[self.channels] = turned.to(constant.dtype)

    @property
    def _offset(self) -> Tensor:
        if self.producer.target is normal_form.linear:
            return own_bias(self.module, self.producer)
        return parameter(self.module, self.producer.args[2])


@dataclass(frozen=True)
class Attention:
    """softmax(query key^T) value, and the linear layers that read it.

    The i-th channel of the query meets the i-th of the key; nothing else reads any of these
    channels. Of each reader, `readers` has the value channel of every input column, as a position
    in value.channels.flatten(); so are the output's channels numbered. A
    grid that was fixed for the output does not survive a change of the values.
    """

    graph: QuantizedGraph
    query: Operand
    key: Operand
    value: Operand
    output: torch.fx.Node
    readers: dict[torch.fx.Node, Tensor]

    @property
    def weight(self) -> Tensor:
        """Rows of all layers that read the output, (outputs, value channels), float64."""
        weights = [
            parameter(self.graph.module, linear.args[1])[:, columns.argsort()]
            for linear, columns in self.readers.items()
        ]
        return torch.cat(weights).double()

    @property
    def inputs(self) -> tuple[torch.fx.Node, Tensor]:
        """What a reader reads, and the place of every value channel in its last axis."""
        linear, columns = next(iter(self.readers.items()))
        return linear.all_input_nodes[0], columns.argsort()

    def shift_values(self, center: Tensor) -> None:
        """Subtract center (value channels,), float64, from the values, and so from the output, as
        the rows of the attention map sum to one; the model's output stays.
        """
        self.graph.fixed_grids.pop(self.output, None)
        self.value.shift(center.reshape(self.value.channels.shape))
        for linear, columns in self.readers.items():
            weight = parameter(self.graph.module, linear.args[1]).double()
            bias = own_bias(self.graph.module, linear)
            bias.copy_(bias + torch.mv(weight, center[columns]))

    def rotate_values(self, rotations: Tensor) -> None:
        """Apply rotations (heads, channels a head, channels a head), float64, to the values; the
        model's output stays.
        """
        self.graph.fixed_grids.pop(self.output, None)
        self.value.rotate(rotations)
        for linear, columns in self.readers.items():
            weight = parameter(self.graph.module, linear.args[1])
            places = columns.argsort().reshape(self.value.channels.shape)
            turned = torch.einsum("hij,ohj->ohi", rotations, weight.double()[:, places])
            weight[:, places] = turned.to(weight.dtype)

    def divide_values(self, factors: Tensor) -> None:
        """Divide values and output by factors (value channels,); the model's output stays."""
        self.graph.fixed_grids.pop(self.output, None)
        self.value.divide(factors.reshape(self.value.channels.shape))
        for linear, columns in self.readers.items():
            weight = parameter(self.graph.module, linear.args[1])
            weight.copy_(weight * factors[columns])


def find_attentions(graph: QuantizedGraph) -> list[Attention]:
    """Every attention of a model that has this form, with constants of its own."""
    found = (_attention(graph, node) for node in graph.module.graph.nodes)
    return [attention for attention in found if attention is not None]


def _attention(graph: QuantizedGraph, softmax: torch.fx.Node) -> Attention | None:
    if softmax.target is not normal_form.softmax:
        return None
    scores, output = _score_product(softmax), _value_product(softmax)
    if scores is None or output is None:
        return None
    query, key = _operand(graph.module, scores, 0, -2), _operand(graph.module, scores, 1, -1)
    value = _operand(graph.module, output, 1, -2)
    if query is None or key is None or value is None:
        return None
    readers = _output_readers(output, value)
    own = all(
        len(constant.users) == 1
        for node in (query.producer, key.producer, value.producer, *readers)
        for constant in constants_of(node)
    )
    return Attention(graph, query, key, value, output, readers) if own and readers else None


def _score_product(softmax: torch.fx.Node) -> torch.fx.Node | None:
    """The product whose last axis the softmax normalises, alone."""
    node = softmax.all_input_nodes[0]
    while len(node.users) == 1:
        if node.target is normal_form.matmul:
            return node
        if not (adds_constant(node) or node.target is normal_form.scale or keeps_channels(node)):
            return None
        node = next(operand for operand in node.all_input_nodes if not is_constant(operand))
    return None


def _value_product(softmax: torch.fx.Node) -> torch.fx.Node | None:
    """The one product of the attention map with values."""
    node = softmax
    while len(node.users) == 1:
        (user,) = node.users
        if user.target is normal_form.matmul and user.args[0] is node:
            return user
        if not keeps_channels(user):
            return None
        node = user
    return None


def _operand(
    module: torch.fx.GraphModule, product: torch.fx.Node, position: int, token_axis: int
) -> Operand | None:
    """An operand of a product, if nothing but it reads its channels."""
    source = product.args[position]
    assert isinstance(source, torch.fx.Node)
    producer = source
    while producer.target in LAYOUT:
        producer = producer.all_input_nodes[0]
    if producer.target not in (normal_form.linear, normal_form.layer_norm):
        return None
    shape = producer.meta["shape"]
    numbers = dict(_read(producer, torch.arange(shape[-1]).expand(shape)))
    tokens = numbers[source, product].movedim(token_axis, 0)
    windows = tokens.reshape(-1, *tokens.shape[-2:])
    channels = windows[0]
    if not (windows == channels).all():
        return None
    elsewhere = [read for edge, read in numbers.items() if edge != (source, product)]
    if any(torch.isin(read, channels).any() for read in elsewhere):
        return None
    return Operand(module, producer, channels)


def _output_readers(output: torch.fx.Node, value: Operand) -> dict[torch.fx.Node, Tensor]:
    """The linear layers behind an attention, with the value channel of each column; none if
    anything else reads it.
    """
    positions = torch.arange(value.channels.numel()).reshape(value.channels.shape)
    numbers = positions[:, None].expand(output.meta["shape"])
    readers: dict[torch.fx.Node, Tensor] = {}
    for (_, reader), read in _read(output, numbers):
        columns = read.reshape(-1, read.shape[-1])
        if reader.target is not normal_form.linear or not (columns == columns[0]).all():
            return {}
        readers[reader] = columns[0]
    return readers


def _read(
    node: torch.fx.Node, numbers: Tensor
) -> Iterator[tuple[tuple[torch.fx.Node, torch.fx.Node], Tensor]]:
    """What reads a node through layout operations: (operand, reader), and the numbers as the reader
    sees them.
    """
    for user in node.users:
        if user.target in LAYOUT:
            yield from _read(user, moved(user, numbers))
        else:
            yield (node, user), numbers
