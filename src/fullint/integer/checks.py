"""What a model must satisfy beyond what its program proves when it is built."""

from __future__ import annotations

import math

from fullint.errors import FullintError
from fullint.integer.metadata import ModelMetadata
from fullint.integer.program import IntegerProgram

# A file of a few kilobytes can describe tensors of any size, so sizes have limits.
MAXIMUM_CONSTANT_ELEMENTS = 2**26  # also of all constants together that are stored as runs
MAXIMUM_TENSOR_ELEMENTS = 2**28
MAXIMUM_RANK = 16
MAXIMUM_OPERATIONS = 20_000


def check_model(program: IntegerProgram, metadata: ModelMetadata) -> None:
    """FullintError unless all tensors are of bearable size and the metadata fit the program."""
    for name, tensor in program.types.items():
        if len(tensor.shape) > MAXIMUM_RANK or math.prod(tensor.shape) > MAXIMUM_TENSOR_ELEMENTS:
            raise FullintError(
                f"tensor '{name}' has the shape {tensor.shape}; the limits are {MAXIMUM_RANK} axes "
                f"and {MAXIMUM_TENSOR_ELEMENTS} elements an image"
            )
    classes = program.output_type.shape[1]
    for name in ("class_ids", "class_names"):
        values = getattr(metadata, name)
        if values is not None and len(values) != classes:
            raise FullintError(f"metadata.{name} has {len(values)} entries for {classes} classes")
    if metadata.preprocessing is not None:
        size = tuple(metadata.preprocessing.get(name) for name in ("height", "width", "channels"))
        if size != program.input_shape[1:]:
            raise FullintError(
                f"metadata.preprocessing gives images of height, width, channels {size}, "
                f"but the program takes {program.input_shape[1:]}"
            )
