"""Layout operations: the integers move, and so do their scales."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from fullint.capture import normal_form
from fullint.errors import FullintError
from fullint.integer.ops import find_operation
from fullint.integer.program import Attribute
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding, compress, of_rank
from fullint.quantization.roles import is_constant


@register(normal_form.reshape)
def emit_reshape(emission: Emission) -> Encoding:
    """reshape to the shape for one image."""
    return _emit_layout(emission, "reshape", shape=tuple(emission.node.meta["shape"]))


@register(normal_form.permute)
def emit_permute(emission: Emission) -> Encoding:
    """permute."""
    return _emit_layout(emission, "permute", dims=_integers(emission.arguments[1]))


@register(normal_form.slice)
def emit_slice(emission: Emission) -> Encoding:
    """slice."""
    dim, start, stop = _integers(emission.arguments[1:])
    return _emit_layout(emission, "slice", dim=dim, start=start, stop=stop)


@register(normal_form.roll)
def emit_roll(emission: Emission) -> Encoding:
    """roll."""
    _, shifts, dims = emission.arguments
    return _emit_layout(emission, "roll", shifts=_integers(shifts), dims=_integers(dims))


@register(normal_form.scale)
def emit_scale(emission: Emission) -> Encoding:
    """A positive factor changes what the integers stand for, not the integers."""
    node, factor = emission.arguments
    x = emission.numbers(node)
    return replace(x, scale=x.scale * float(factor))


@register(normal_form.concat)
def emit_concat(emission: Emission) -> Encoding:
    """concat; constants are rounded to the codes of the computed operands, which must share one
    encoding.
    """
    operands, dim = emission.arguments
    computed = [emission.numbers(operand) for operand in operands if not is_constant(operand)]
    first = computed[0]
    alike = all(
        other.zero_point == first.zero_point and np.array_equal(other.scale, first.scale)
        for other in computed
    )
    if not alike or first.scale.shape[dim] != 1:
        raise FullintError("the parts that it joins lie on different grids")
    names = []
    for index, operand in enumerate(operands):
        if is_constant(operand):
            codes = np.rint(emission.constant(operand) / first.scale).astype(np.int64)
            names.append(emission.add_constant(f"part{index}", codes + first.zero_point))
        else:
            names.append(emission.encodings[operand].name)
    emission.emit("concat", names, emission.pending_name(), dim=int(dim))
    return emission.finish(first.renamed(emission.pending_name()))


def _emit_layout(emission: Emission, kind: str, **attributes: Attribute) -> Encoding:
    """The operation on the codes and, where they have several scales, on an array of these."""
    x = emission.encoding_of(emission.arguments[0])
    shape = emission.builder.types[x.name].shape
    emission.emit(kind, [x.name], emission.name, **attributes)
    if x.scale.size == 1:
        return x.renamed(emission.name, of_rank(x.scale.reshape(()), emission.rank))
    scales = np.broadcast_to(x.scale, shape)[None]
    moved = find_operation(kind).compute(scales, **attributes)[0]
    return x.renamed(emission.name, compress(moved))


def _integers(argument: Iterable[int]) -> tuple[int, ...]:
    return tuple(int(item) for item in argument)
