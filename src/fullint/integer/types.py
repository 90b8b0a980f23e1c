"""Types of integer tensors: shape and proven range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fullint.errors import FullintError

StorageName = Literal["uint8", "int8", "int16", "int32"]
INT32_LOW, INT32_HIGH = -(2**31), 2**31 - 1


@dataclass(frozen=True)
class TensorType:
    """Shape (of one image) and the range of values that a tensor provably stays in.

    Attributes:
        shape: static shape; the first axis, usually 1, is the one the batch multiplied when traced.
        low, high: inclusive bounds on every element.
        row_sum: for attention maps, a proven bound on the sum of a row (see the softmax
            operations): of the codes of a uniform map, of 2^(15 - code) for log2 codes; else None.
    """

    shape: tuple[int, ...]
    low: int
    high: int
    row_sum: int | None = None

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise FullintError(f"empty range [{self.low}, {self.high}]")
        if any(not isinstance(size, int) or size < 1 for size in self.shape):
            raise FullintError(f"shape {self.shape} is not made of positive integers")

    @property
    def bits(self) -> int:
        """Least number of bits that hold the range (two's complement if it reaches below zero)."""
        if self.low >= 0:
            return max(1, self.high.bit_length())
        return max((-self.low - 1).bit_length(), self.high.bit_length()) + 1

    @property
    def storage(self) -> StorageName:
        """Smallest of the engine's number types that holds the range."""
        for name, low, high in (("uint8", 0, 255), ("int8", -128, 127), ("int16", -32768, 32767)):
            if low <= self.low and self.high <= high:
                return name  # type: ignore[return-value]
        return "int32"

    @property
    def numpy_dtype(self) -> np.dtype:
        """NumPy's name for `storage`."""
        return np.dtype(self.storage)

    def require_int32(self) -> None:
        """Refuse a range that a 32-bit accumulator cannot hold."""
        if self.low < INT32_LOW or self.high > INT32_HIGH:
            raise FullintError(
                f"a value could reach [{self.low}, {self.high}], which overflows a 32-bit "
                "accumulator; use fewer bits for weights or activations in this layer"
            )


@dataclass(frozen=True)
class Operand:
    """What a type rule sees of an input: its type and, for a constant, its values."""

    type: TensorType
    constant: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image's tensor."""
        return self.type.shape

    @property
    def is_computed(self) -> bool:
        """Whether it differs from image to image: its array then carries the images in front."""
        return self.constant is None

    def stored(self) -> np.ndarray:
        """The constant's values in the type they are stored in; refuses a computed tensor."""
        if self.constant is None:
            raise FullintError("an input that must be a constant is computed")
        return self.constant

    def values(self) -> np.ndarray:
        """The constant's values as int64; refuses a computed tensor."""
        return self.stored().astype(np.int64)


def broadcast_shape(*operands: Operand) -> tuple[int, ...]:
    """Shape of an elementwise result.

    Computed operands must have its rank: their arrays carry the images in front.
    """
    shape = np.broadcast_shapes(*(operand.shape for operand in operands))
    if any(operand.is_computed and len(operand.shape) != len(shape) for operand in operands):
        raise FullintError(
            f"shapes {[operand.shape for operand in operands]} differ in their number of axes"
        )
    return tuple(int(size) for size in shape)


def check_zero_point(largest: int, zero_point: int) -> None:
    """Refuse a zero point that could take rounded values, at most `largest` in size, off int32."""
    if largest + abs(zero_point) > INT32_HIGH:
        raise FullintError(f"zero point {zero_point} could take results beyond int32")
