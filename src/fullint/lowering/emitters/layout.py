"""Layout operations: the integers move, and so do their scales."""

from __future__ import annotations


import numpy as np
import torch.fx

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.ops import find_operation
from fullint.integer.program import Attribute
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding, compress
from fullint.quantization.roles import is_constant


@register(normal_form.reshape)
def emit_reshape(emission: Emission) -> Encoding:
    """reshape to the shape for one image."""
    return _emit_layout(emission, "reshape", shape=tuple(emission.node.meta["shape"]))


@register(normal_form.permute)
def emit_permute(emission: Emission) -> Encoding:
    """permute."""
    return _emit_layout(emission, "permute", dims=_integers(emission.node.args[1]))


@register(normal_form.slice)
def emit_slice(emission: Emission) -> Encoding:
    """slice."""
    dim, start, stop = _integers(emission.node.args[1:])
    return _emit_layout(emission, "slice", dim=dim, start=start, stop=stop)


@register(normal_form.roll)
def emit_roll(emission: Emission) -> Encoding:
    """roll."""
    shifts, dims = (_integers(argument) for argument in emission.node.args[1:])
    return _emit_layout(emission, "roll", shifts=shifts, dims=dims)


@register(normal_form.scale)
def emit_scale(emission: Emission) -> Encoding:
    """A positive factor changes what the integers stand for, not the integers."""
    x = emission.input()
    return x.renamed(x.name, x.scale * float(emission.node.args[1]))  # type: ignore[arg-type]


@register(normal_form.concat)
def emit_concat(emission: Emission) -> Encoding:
    """concat; constants are rounded to the codes of the computed operands, which must share one encoding."""
    operands, dim = emission.node.args
    computed = [emission.encodings[operand] for operand in operands if not is_constant(operand)]  # type: ignore[union-attr]
    first = computed[0]
    alike = all(other.zero_point == first.zero_point and np.array_equal(other.scale, first.scale) for other in computed)
    if not alike or first.scale.shape[int(dim)] != 1:  # type: ignore[arg-type]
        raise FullintError(f"{emission.source}: the parts that '{emission.name}' joins lie on different grids")
    names = []
    for index, operand in enumerate(operands):  # type: ignore[arg-type]
        if is_constant(operand):
            codes = constant_codes(emission.constant(operand), first)
            names.append(emission.builder.add_constant(f"{emission.name}.part{index}", codes))
        else:
            names.append(emission.encodings[operand].name)
    emission.builder.emit("concat", names, emission.pending_name(), source=emission.source, dim=int(dim))  # type: ignore[arg-type]
    return emission.finish(first.renamed(emission.pending_name()))


def constant_codes(values: np.ndarray, encoding: Encoding) -> np.ndarray:
    """A real constant on a tensor's grid."""
    return np.rint(values / encoding.scale).astype(np.int64) + encoding.zero_point


def _emit_layout(emission: Emission, kind: str, **attributes: Attribute) -> Encoding:
    x = emission.input()
    shape = emission.builder.types[x.name].shape
    emission.builder.emit(kind, [x.name], emission.name, source=emission.source, **attributes)
    full = np.broadcast_to(x.scale, shape)[None] if x.scale.size > 1 else None
    moved = (
        np.ones((1,) * len(emission.node.meta["shape"])) * x.scale.reshape(())
        if full is None
        else compress(find_operation(kind).compute(full, **attributes)[0])
    )
    return x.renamed(emission.name, moved)


def _integers(argument: torch.fx.node.Argument) -> tuple[int, ...]:
    return tuple(int(item) for item in argument)  # type: ignore[union-attr, arg-type]
