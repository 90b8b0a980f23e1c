"""Small programs around one operation or one pattern, to compare engine and interpreter on.

A program reads a row of pixels. Operands of any type and range are made from them by lookup tables.
"""

from __future__ import annotations

import math

import numpy as np

from fullint.integer.program import IntegerProgram, Operation

Shape = tuple[int, ...]
RANGES = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "int16": (-(2**15), 2**15 - 1),
    "int20": (-(2**19), 2**19 - 1),
}


class ProgramBuilder:
    """Collects operations; `finish` checks them and gives a program with logits of one row."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.operations: list[Operation] = []
        self.constants: dict[str, np.ndarray] = {}
        self.shapes: dict[str, Shape] = {}
        self.pixels = 0

    def constant(self, values: np.ndarray) -> str:
        name = f"constant{len(self.constants)}"
        self.constants[name] = np.asarray(values)
        return name

    def integers(self, low: int, high: int, shape: Shape) -> np.ndarray:
        """Random ones, the extremes likely among them."""
        values = self.random.integers(low, high + 1, shape)
        extreme = self.random.random(shape) < 0.2
        return np.where(extreme, self.random.choice([low, high], shape), values)

    def add(self, kind: str, inputs: list[str], result: Shape, **attributes: object) -> str:
        """An operation; `result` is its output's shape."""
        name = f"tensor{len(self.operations)}"
        self.operations.append(Operation(kind, tuple(inputs), name, attributes))  # type: ignore[arg-type]
        self.shapes[name] = tuple(int(size) for size in result)
        return name

    def operand(self, shape: Shape, low: int, high: int) -> str:
        """A computed tensor of values in [low, high], both possible."""
        size = math.prod(shape)
        start, self.pixels = self.pixels, self.pixels + size
        part = self.add("slice", ["pixels"], (1, 1, 1, size), dim=3, start=start, stop=self.pixels)
        table = self.integers(low, high, (256,))
        table[[0, 255]] = low, high
        return self.add(
            "lookup", [self.reshape(part, shape), self.constant(table)], shape, offset=0
        )

    def reshape(self, x: str, shape: Shape) -> str:
        return self.add("reshape", [x], shape, shape=tuple(shape))

    def permute(self, x: str, dims: tuple[int, ...]) -> str:
        return self.add("permute", [x], [self.shapes[x][dim] for dim in dims], dims=tuple(dims))

    def factors(self, shape: Shape, largest: int, result: int, bits: int = 16) -> list[str]:
        """pre_shift, multiplier, shift that bring values of `largest` to about `result`."""
        if bits == 32:
            multiplier = self.integers(2**29, 2**31 - 1, shape)
            exponent = 31 + max(0, math.ceil(math.log2(max(largest, 1) / result)))
            pre_shift, shift = np.zeros(shape, int), np.full(shape, min(exponent, 62))
        else:
            multiplier = self.integers(2**14, 2**15 - 1, shape)
            wanted = max(0, math.ceil(math.log2(max(largest, 1))) - 15)
            pre_shift = self.integers(max(wanted - 1, 0), wanted, shape)
            exponent = 15 + math.ceil(math.log2(max(largest, 1) / result))
            shift = np.clip(exponent - pre_shift, 0, 30)
        return [self.constant(values) for values in (pre_shift, multiplier, shift)]

    def finish(self, output: str) -> IntegerProgram:
        size = math.prod(self.shapes[output])
        logits = self.reshape(output, (1, size))
        return IntegerProgram(
            input_name="pixels",
            input_shape=(1, 1, 1, self.pixels),
            operations=self.operations,
            constants=self.constants,
            output_name=logits,
            logit_scale=1.0,
        )


def random_images(program: IntegerProgram, count: int, seed: int) -> np.ndarray:
    """Random pixels; the first two images are all 0 and all 255."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, *program.input_shape[1:]), dtype=np.uint8)
    images[:1], images[1:2] = 0, 255
    return images
