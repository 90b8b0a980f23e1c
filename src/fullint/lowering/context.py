"""The program under construction."""

from __future__ import annotations

import math

import numpy as np

from fullint.errors import FullintError
from fullint.integer.ops import find_operation
from fullint.integer.program import Attribute, Operation, constant_type
from fullint.integer.types import INT32_HIGH, INT32_LOW, Operand, TensorType
from fullint.lowering.encoding import Encoding, of_rank
from fullint.lowering.factors import Factors, exact_factors, fast_factors
from fullint.quantization.grids import UniformGrid


class ProgramBuilder:
    """Collects operations and constants, and infers each type as it goes, so that an overflow is
    refused where it arises.

    Args:
        exact: choose exact instead of fast requantization.
    """

    def __init__(self, *, exact: bool) -> None:
        self.exact = exact
        self.operations: list[Operation] = []
        self.constants: dict[str, np.ndarray] = {}
        self.types: dict[str, TensorType] = {}

    def add_constant(self, name: str, values: np.ndarray) -> str:
        """Store an integer constant in the smallest type that holds it; returns its name."""
        values = np.asarray(values)
        lowest, highest = int(values.min()), int(values.max())
        if lowest < INT32_LOW or highest > INT32_HIGH:
            raise FullintError(
                f"constant '{name}' needs values up to {max(-lowest, highest)}, beyond int32"
            )
        dtype = TensorType((1,), lowest, highest).numpy_dtype
        self.constants[name] = np.ascontiguousarray(values, dtype=dtype)
        self.types[name] = constant_type(name, self.constants[name])
        return name

    def emit(
        self, kind: str, inputs: list[str], output: str, *, source: str, **attributes: Attribute
    ) -> str:
        """Append an operation; returns its output's name. FullintError if it could overflow."""
        operands = [Operand(self.types[name], self.constants.get(name)) for name in inputs]
        result = find_operation(kind).infer(*operands, **attributes)
        result.require_int32()
        self.types[output] = result
        self.operations.append(Operation(kind, tuple(inputs), output, attributes, source))
        return output

    def emit_requantize(
        self, value: Encoding, grid: UniformGrid, output: str, *, source: str
    ) -> Encoding:
        """Round accumulators onto `grid`."""
        assert value.zero_point == 0, f"{value.name} has a zero point, which accumulators have not"
        value_type = self.types[value.name]
        scale = grid_scale(grid, len(value_type.shape))
        factors = self.choose_factors(
            value.scale / scale,
            value_type,
            low=grid.low - grid.common_zero_point,
            high=grid.high - grid.common_zero_point,
        )
        self.emit(
            "requantize",
            [value.name, *self.add_factors(output, factors)],
            output,
            source=source,
            intermediate_bits=factors.intermediate_bits,
            zero_point=grid.common_zero_point,
            low=grid.low,
            high=grid.high,
        )
        return Encoding(output, scale, grid.common_zero_point)

    def choose_factors(
        self, factor: np.ndarray, input_type: TensorType, *, low: int, high: int
    ) -> Factors:
        """Factors for inputs of a type and outputs that saturate to [low, high]."""
        largest_input = max(-input_type.low, input_type.high, 1)
        if self.exact:
            return exact_factors(factor, low=low, high=high, largest_input=largest_input)
        return fast_factors(factor, largest_input=largest_input, largest_output=max(-low, high))

    def add_factors(self, output: str, factors: Factors) -> list[str]:
        """Constants of a requantization, in the order the operations take them."""
        return [
            self.add_constant(f"{output}.pre_shift", factors.pre_shift),
            self.add_constant(f"{output}.multiplier", factors.multiplier),
            self.add_constant(f"{output}.shift", factors.shift),
        ]


def grid_scale(grid: UniformGrid, rank: int) -> np.ndarray:
    """A grid's scale as an array of the tensor's rank."""
    return of_rank(grid.scale.detach().double().cpu().numpy(), rank)


def scalar_scale(value: Encoding) -> float:
    """The one scale of a tensor; FullintError if its channels differ."""
    if math.prod(value.scale.shape) != 1:
        raise FullintError(
            f"'{value.name}', which it reads, has several scales; give it one scale a tensor"
        )
    return float(value.scale.reshape(()))
