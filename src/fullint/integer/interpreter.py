"""The interpreter: runs a program in NumPy. Slow, readable, and the specification of results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from fullint.errors import FullintError
from fullint.integer.ops import find_operation
from fullint.integer.program import IntegerProgram

IMAGES_AT_ONCE = 4


def run(program: IntegerProgram, pixels: np.ndarray) -> np.ndarray:
    """Logits int32 (batch, classes) of uint8 pixels (batch, height, width, channels)."""
    classes = program.output_type.shape[-1]
    logits = np.empty((len(pixels), classes), dtype=np.int32)
    for start in range(0, len(pixels), IMAGES_AT_ONCE):
        images = pixels[start : start + IMAGES_AT_ONCE]
        for name, values in trace(program, images):
            if name == program.output_name:
                logits[start : start + len(images)] = values.reshape(len(images), classes)
    return logits


def trace(program: IntegerProgram, pixels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every computed tensor: its name and array, images in front. Freed after the last
    use.
    """
    if pixels.dtype != np.uint8 or pixels.shape[1:] != program.input_shape[1:]:
        raise FullintError(
            f"pixels are {pixels.dtype} of shape {pixels.shape}; "
            f"the program reads uint8 images of shape {program.input_shape[1:]}"
        )
    tensors = dict(program.constants)
    tensors[program.input_name] = pixels.reshape(len(pixels), *program.input_shape)
    last_uses = _last_uses(program)
    for index, operation in enumerate(program.operations):
        inputs = [_as_int64(tensors[name]) for name in operation.inputs]
        result = find_operation(operation.kind).compute(*inputs, **operation.attributes)
        tensors[operation.output] = result.astype(program.types[operation.output].numpy_dtype)
        yield operation.output, tensors[operation.output]
        for name in last_uses[index]:
            del tensors[name]


def _as_int64(array: np.ndarray) -> np.ndarray:
    return array if array.dtype == np.int64 else array.astype(np.int64)


def _last_uses(program: IntegerProgram) -> Mapping[int, list[str]]:
    """For each operation, the computed tensors nobody reads after it."""
    last: dict[str, int] = {}
    for index, operation in enumerate(program.operations):
        for name in (*operation.inputs, operation.output):
            if name not in program.constants:
                last[name] = index
    uses: dict[int, list[str]] = {index: [] for index in range(len(program.operations))}
    for name, index in last.items():
        uses[index].append(name)
    return uses
