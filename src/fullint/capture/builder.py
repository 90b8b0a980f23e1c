"""Builds a normal-form graph, one exported operator after another; the rewrites work with it.

A value is a node of the graph when it depends on the image; otherwise a plain tensor (a parameter,
or something computed from parameters only), which enters the graph as a constant only when a node
uses it. Of a constant that the model expands over the batch, the tensor holds one image's share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, fx

from fullint.capture import normal_form
from fullint.capture.shapes import (
    Shape,
    carries_batch,
    exported_shape,
    insert,
    reshape_argument,
    shape_of,
)
from fullint.errors import FullintError

Value = fx.Node | Tensor


class Builder:
    """The graph under construction, and the exported operator that is being rewritten."""

    def __init__(self, image_shape: Shape, mean: Sequence[float], std: Sequence[float]) -> None:
        """Start with the input.

        image_shape: (PROBE_BATCH, channels, height, width), what the model expects.
        mean, std: the normalisation it expects, one number a channel, for pixels 0 to 1.
        """
        batch, channels, height, width = image_shape
        self.graph = fx.Graph()
        self.constants: dict[str, Tensor] = {}
        self.mean, self.std = mean, std
        self.operator: fx.Node
        self.module_path = ""
        self._constant_nodes: dict[int, fx.Node] = {}
        self._parameter_names: dict[int, str] = {}
        self.pixels = self.graph.placeholder("pixels")
        self.pixels.meta = {"probe_shape": (batch, height, width, channels), "module_path": ""}
        # Stands for the normalised image until the patch convolution replaces it by the pixels;
        # dead afterwards.
        self.image = insert(self.graph, normal_form.permute, (self.pixels, (0, 3, 1, 2)), "")

    def start(self, operator: fx.Node) -> None:
        """Turn to the next exported operator."""
        self.operator = operator
        self.module_path = module_path_of(operator)

    @contextmanager
    def origin_of(self, node: fx.Node) -> Iterator[None]:
        """Within this context new nodes get the module path of `node`, which they replace."""
        module_path, self.module_path = self.module_path, node.meta["module_path"]
        try:
            yield
        finally:
            self.module_path = module_path

    def parameter(self, tensor: Tensor, name: str) -> None:
        """Declare that a tensor is, unchanged, the model's parameter or buffer `name`."""
        self._parameter_names[id(tensor)] = name

    @property
    def output_shape(self) -> Shape:
        """The shape (for PROBE_BATCH images) of what the current operator returns."""
        return exported_shape(self.operator.meta["val"])

    def call(self, function: Callable[..., Tensor], *arguments: Any) -> Any:
        """A normal-form function of the arguments: a new node, or a tensor if all are constant."""
        if not any(isinstance(value, fx.Node) for value in flatten(arguments)):
            return function(*arguments)
        node_arguments = tuple(self._as_node(argument) for argument in arguments)
        try:
            return insert(self.graph, function, node_arguments, self.module_path)
        except RuntimeError as error:
            raise self.refusal(
                f"the shapes do not fit the normal form's {function.__name__}: {error}"
            ) from error

    def _as_node(self, argument: Any) -> Any:
        if isinstance(argument, Tensor):
            return self.constant(argument)
        if isinstance(argument, list):
            return [self._as_node(item) for item in argument]
        return argument

    def constant(self, tensor: Tensor) -> fx.Node:
        """The node of a constant; one tensor has one node, however often it is used."""
        if id(tensor) not in self._constant_nodes:
            target = f"constant_{len(self.constants)}"
            parameter = self._parameter_names.get(id(tensor))
            # The dictionary also keeps the tensor alive, so that no other tensor gets the same id.
            self.constants[target] = tensor
            node = self.graph.create_node("get_attr", target)
            node.meta = {"probe_shape": tuple(tensor.shape), "module_path": self.module_path}
            if parameter is not None:
                node.meta |= {"parameter": parameter, "module_path": parameter.rpartition(".")[0]}
            self._constant_nodes[id(tensor)] = node
        return self._constant_nodes[id(tensor)]

    def value_of(self, argument: Any) -> Any:
        """An argument of a node as a rewrite would see it: the tensor of a constant's node."""
        is_constant = isinstance(argument, fx.Node) and argument.op == "get_attr"
        return self.constants[str(argument.target)] if is_constant else argument

    def reshape(self, x: Value, shape: Sequence[int]) -> Any:
        """x under another shape (for PROBE_BATCH images); x itself where it has that shape."""
        if tuple(shape) == shape_of(x):
            return x
        return self.call(normal_form.reshape, x, reshape_argument(shape))

    def permute(self, x: Value, dims: Sequence[int]) -> Any:
        """x with its axes reordered; x itself for the identity."""
        rank = len(shape_of(x))
        positive = tuple(dim % rank for dim in dims)
        return x if positive == tuple(range(rank)) else self.call(normal_form.permute, x, positive)

    def slice(self, x: Value, dim: int, start: int, stop: int) -> Any:
        """Entries start to stop - 1 of axis dim; x itself where that is all of them."""
        if (start, stop) == (0, shape_of(x)[dim]):
            return x
        self.keep_batch_whole(x, [dim])
        return self.call(normal_form.slice, x, dim, start, stop)

    def keep_batch_whole(self, x: Value, dims: Sequence[int]) -> None:
        """Refuse the current operator where one of these axes of x carries the batch."""
        if any(carries_batch(shape_of(x)[dim]) for dim in dims):
            raise self.refusal("it mixes or picks entries of the axis that carries the batch")

    def refusal(self, reason: str) -> FullintError:
        """The error to raise where the current operator cannot be captured, for a reason."""
        return FullintError(
            f"{operator_name(self.operator)} in {describe(self.module_path)} cannot be captured: "
            f"{reason}; replace that module by one built from operations that fullint knows, "
            "or add a rewrite to fullint/capture/rewrites"
        )


def flatten(values: Any) -> list[Any]:
    """The leaves of nested tuples, lists and dictionaries."""
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, (tuple, list)):
        return [leaf for value in values for leaf in flatten(value)]
    return [values]


def operator_name(operator: fx.Node) -> str:
    """The name of an exported operator, for instance aten.linear.default."""
    return str(operator.target)


def module_path_of(operator: fx.Node) -> str:
    """The module of the user's model whose forward ran the operator; "" for the model itself.

    The exported program has the user's model as the only child of its root; a module called a
    second time carries an "@1".
    """
    stack = list(operator.meta.get("nn_module_stack", {}).values())
    path = str(stack[-1][0]) if stack else ""
    return ".".join(part.partition("@")[0] for part in path.split(".")[1:])


def describe(module_path: str) -> str:
    """A module in the words of an error."""
    return f"module {module_path!r}" if module_path else "the model itself"


def positive(dims: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """The axes counted from 0."""
    return tuple(dim % rank for dim in ([dims] if isinstance(dims, int) else dims))
