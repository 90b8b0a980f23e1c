"""The integer program: typed operations on integer tensors, in static single assignment form.

A program describes one image. Its input is the uint8 pixels (1, height, width, channels); its
output the integer logits. Every tensor has a type that holds the proven range of its values, worked
out by the operations' own type rules from the constants and the ranges before it. A program whose
accumulators could leave int32 for any image whatever is refused when it is built, and again when it
is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fullint.errors import FullintError
from fullint.integer.constant_table import ConstantTable, PackedConstant
from fullint.integer.ops import find_operation
from fullint.integer.storage import storage_type, stored_bytes
from fullint.integer.types import INT32_HIGH, INT32_LOW, Operand, TensorType

Attribute = int | tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """One instruction: ``output = kind(*inputs, **attributes)``.

    Inputs name tensors or constants; `source`, the layer it came from, is for people.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    source: str = ""


class IntegerProgram:
    """A checked program.

    Args:
        input_name: name of the pixel tensor.
        input_shape: (1, height, width, channels).
        operations: in execution order; each output is assigned once.
        constants: integer arrays by name; they carry no batch axis. Packed ones stay packed.
        output_name: name of the logits, shape (1, classes).
        logit_scale: value of one step of the logits, the one real number.

    Raises:
        FullintError: an unknown operation, a wrong shape, an undefined name, or a value that could
            leave its range.
    """

    def __init__(
        self,
        *,
        input_name: str,
        input_shape: tuple[int, ...],
        operations: list[Operation],
        constants: Mapping[str, np.ndarray | PackedConstant],
        output_name: str,
        logit_scale: float,
    ) -> None:
        self.input_name = input_name
        self.input_shape = tuple(input_shape)
        self.operations = list(operations)
        self.constants = ConstantTable(constants)
        self.output_name = output_name
        self.logit_scale = float(logit_scale)
        if not (math.isfinite(self.logit_scale) and self.logit_scale > 0):
            raise FullintError(f"logit_scale must be a positive number, not {self.logit_scale}")
        self.types = self._infer_types()

    def _infer_types(self) -> dict[str, TensorType]:
        if len(self.input_shape) != 4 or self.input_shape[0] != 1:
            raise FullintError(
                f"input shape {self.input_shape} is not (1, height, width, channels)"
            )
        types = {name: self._constant_type(name) for name in self.constants}
        if self.input_name in types:
            raise FullintError(f"the input '{self.input_name}' has the name of a constant")
        types[self.input_name] = TensorType(self.input_shape, 0, 255)
        for operation in self.operations:
            types[operation.output] = self._infer_operation(operation, types)
        if all(operation.output != self.output_name for operation in self.operations):
            raise FullintError(f"the program's output '{self.output_name}' is never computed")
        shape = types[self.output_name].shape
        if len(shape) != 2 or shape[0] != 1:
            raise FullintError(f"output '{self.output_name}' has shape {shape}, not (1, classes)")
        return types

    def _constant_type(self, name: str) -> TensorType:
        packed = self.constants.packed(name)
        if packed is None:
            return constant_type(name, self.constants[name])
        return TensorType(packed.shape, packed.low, packed.high)

    def _infer_operation(self, operation: Operation, types: dict[str, TensorType]) -> TensorType:
        origin = ", ".join(filter(None, (operation.kind, operation.source)))
        where = f"operation '{operation.output}' ({origin})"
        if operation.output in types:
            raise FullintError(f"{where} assigns a name that is already in use")
        missing = [name for name in operation.inputs if name not in types]
        if missing:
            raise FullintError(f"{where} reads '{missing[0]}' before it is computed")
        operands = [Operand(types[name], self.constants.get(name)) for name in operation.inputs]
        try:
            definition = find_operation(operation.kind)
            definition.check_signature(len(operation.inputs), operation.attributes)
            if not any(operand.is_computed for operand in operands):
                raise FullintError("every input is a constant; store its result as a constant")
            result = definition.infer(*operands, **operation.attributes)
            result.require_int32()
        except FullintError as error:
            raise FullintError(f"{where}: {error}") from None
        except (ValueError, IndexError, TypeError, OverflowError) as error:
            raise FullintError(f"{where} has inconsistent shapes or attributes: {error}") from error
        return result

    @property
    def output_type(self) -> TensorType:
        """Type of the logits."""
        return self.types[self.output_name]

    @property
    def constant_bytes(self) -> int:
        """Bytes the constants take when saved, whatever type they have in memory."""
        return sum(
            stored_bytes(constant, storage_type(constant)) for constant in self.constants.values()
        )


def constant_type(name: str, constant: np.ndarray) -> TensorType:
    """Shape of a constant and range of the values it really holds. Refuses all but integers."""
    if constant.dtype.kind not in "iu":
        raise FullintError(
            f"constant '{name}' is {constant.dtype}; an integer program holds integers only"
        )
    if constant.size == 0:
        raise FullintError(f"constant '{name}' is empty")
    low, high = int(constant.min()), int(constant.max())
    if low < INT32_LOW or high > INT32_HIGH:
        raise FullintError(f"constant '{name}' holds values in [{low}, {high}], beyond int32")
    return TensorType(tuple(constant.shape), low, high)
