"""From the graph of torch.export to the normal form, operator by operator.

An operator all of whose arguments are known (parameters, buffers, numbers) is run at once: Swin's
relative-position bias, its attention mask, interpolated position embeddings. The batch size counts
as 1 there. The others are handed to their rewrite.
"""

from __future__ import annotations

import operator as python_operator
from collections.abc import Mapping
from typing import Any

from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

import fullint.capture.rewrites  # noqa: F401  registers the rewrites
from fullint.capture.builder import Builder, flatten, operator_name
from fullint.capture.rewrites.registry import find_rewrite
from fullint.capture.shapes import batch_axis, for_one_image, shape_of
from fullint.errors import FullintError

# Checks that torch.export leaves in the graph; they return nothing that is used.
_CHECKS = ("aten._assert", "aten.sym_constrain_range", "aten._check")


def translate(program: ExportedProgram, build: Builder) -> None:
    """Fill the builder's graph, output included, from an exported program whose root has the user's
    model as its only child.

    Raises FullintError for an operator, or a use of one, that the normal form cannot express.
    """
    values: dict[fx.Node, Any] = dict(_inputs(program, build))
    for node in program.graph.nodes:
        if node.op == "call_function":
            build.start(node)
            values[node] = _translate(build, node, values)
        elif node.op == "output":
            _finish(
                build, [values[item] for item in flatten(node.args) if isinstance(item, fx.Node)]
            )
        elif node.op != "placeholder":
            raise FullintError(
                f"the exported graph has a {node.op} node ({node.name}), which cannot be captured; "
                "remove control flow and submodule calls by name from the model"
            )


def _inputs(program: ExportedProgram, build: Builder) -> Mapping[fx.Node, Any]:
    """The value of every placeholder: the image, or a copy of a parameter, buffer or constant."""
    placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    values: dict[fx.Node, Any] = {}
    for specification in program.graph_signature.input_specs:
        node = placeholders[specification.arg.name]
        if specification.kind is InputKind.USER_INPUT:
            values[node] = build.image
            continue
        name = str(specification.target)
        stored = program.state_dict[name] if name in program.state_dict else program.constants[name]
        values[node] = stored.detach().clone()
        if specification.kind in (InputKind.PARAMETER, InputKind.BUFFER):
            build.parameter(values[node], name.partition(".")[2])
    return values


def _translate(build: Builder, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
    """The value of one exported operator."""
    name = operator_name(node)
    if name.startswith(_CHECKS):
        return None
    arguments: Any = fx.map_arg(node.args, lambda argument: values[argument])
    options: Any = fx.map_arg(node.kwargs, lambda argument: values[argument])
    if name.startswith("aten.sym_size"):
        return for_one_image(shape_of(arguments[0]))[arguments[1]]
    if node.target is python_operator.getitem:
        return arguments[0][arguments[1]]
    if not any(isinstance(value, fx.Node) for value in flatten((arguments, options))):
        return _fold(node, arguments, options)
    rewrite = find_rewrite(name)
    if rewrite is None:
        raise build.refusal("the operator is not among those fullint knows")
    try:
        result = rewrite(build, *arguments, **options)
    except TypeError as error:
        raise build.refusal(f"it is called in a way its rewrite does not know ({error})") from error
    if result is not build.image and build.image.users:
        raise build.refusal(
            "it reads the image, and only a convolution that cuts it into patches may"
        )
    return result


def _fold(node: fx.Node, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Run an operator on constants.

    A result that is the very same tensor again stays the same object, and so keeps its name.
    """
    result = node.target(*arguments, **options)  # type: ignore[operator]
    if isinstance(result, Tensor):
        for argument in arguments:
            if isinstance(argument, Tensor) and _identical(argument, result):
                return argument
    return result


def _identical(a: Tensor, b: Tensor) -> bool:
    same_memory = a.data_ptr() == b.data_ptr() and a.stride() == b.stride()
    return same_memory and a.shape == b.shape and a.dtype == b.dtype


def _finish(build: Builder, outputs: list[Any]) -> None:
    """Add the output; there must be one, of logits (batch, classes)."""
    shapes = [shape_of(value) for value in outputs if isinstance(value, fx.Node)]
    if len(outputs) != 1 or len(shapes) != 1 or len(shapes[0]) != 2 or batch_axis(shapes[0]) != 0:
        found = (
            ", ".join(str(("batch", *shape[1:])) for shape in shapes)
            or "nothing that depends on the image"
        )
        raise FullintError(
            f"the model returns {found}, not one tensor of logits (batch, classes); "
            "wrap it in a module that does"
        )
    build.graph.output(outputs[0]).meta = {"probe_shape": shapes[0], "module_path": ""}
