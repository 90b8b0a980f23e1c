"""Pipeline stages with valid/ready handshakes, and arithmetic that units share."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, ValueLike


class Stage:
    """One register stage: takes a beat when it is empty or what follows takes its own.

    Data registers have no reset; only `valid` has.

    Attributes:
        valid: whether it holds a beat.
        ready: whether it would take one.
        take: whether it does.
    """

    def __init__(self, m: Module, source_valid: ValueLike, name: str) -> None:
        self.valid = Signal(name=f"{name}_valid")
        self.ready = Signal(name=f"{name}_ready")
        self.take = Signal(name=f"{name}_take")
        self._m, self._name = m, name
        m.d.comb += self.take.eq(Value.cast(source_valid) & self.ready)
        with m.If(self.ready):
            m.d.sync += self.valid.eq(source_valid)

    def register(self, value: ValueLike, name: str) -> Signal:
        """A register that holds `value` of the beat in this stage."""
        value = Value.cast(value)
        signal = Signal(value.shape(), name=f"{self._name}_{name}", reset_less=True)
        with self._m.If(self.take):
            self._m.d.sync += signal.eq(value)
        return signal

    def registers(self, values: Sequence[Value], name: str) -> list[Value]:
        """A register for each of the values."""
        return [self.register(value, f"{name}_{index}") for index, value in enumerate(values)]

    def followed_by(self, name: str) -> Stage:
        """The stage that takes every beat of this one."""
        following = Stage(self._m, self.valid, name)
        self.leaves_when(following.ready)
        return following

    def leaves_when(self, ready: ValueLike) -> None:
        """Say when what follows takes this stage's beat."""
        self._m.d.comb += self.ready.eq(~self.valid | ready)


def count_bits(lanes: int) -> int:
    """Width of a beat's number of elements less one."""
    return max(1, (lanes - 1).bit_length())


def lanes_of(value: Value, count: int, shape: Shape | int) -> list[Value]:
    """A packed value cut into lanes, the lowest first."""
    shape = Shape.cast(shape)
    parts = [value[index * shape.width : (index + 1) * shape.width] for index in range(count)]
    return [part.as_signed() if shape.signed else part for part in parts]


def named(m: Module, value: ValueLike, name: str) -> Signal:
    """The value as one signal: an expression used twice would be built twice."""
    value = Value.cast(value)
    signal = Signal(value.shape(), name=name)
    m.d.comb += signal.eq(value)
    return signal


def larger_of_pairs(m: Module, values: Sequence[Value], name: str) -> list[Value]:
    """One level of a tree of maxima."""
    result: list[Value] = [
        named(m, Mux(first > second, first, second), f"{name}_{index}")
        for index, (first, second) in enumerate(zip(values[::2], values[1::2], strict=False))
    ]
    return result + list(values[len(values) - len(values) % 2 :])


def largest_of_three(m: Module, values: Sequence[Value], name: str) -> Signal:
    """The largest of two or three values, all compared at once."""
    if len(values) == 2:
        return named(m, larger_of_pairs(m, values, f"{name}_of")[0], name)
    a, b, c = values
    second, third = named(m, b > a, f"{name}_second"), named(m, c > a, f"{name}_third")
    return named(m, Mux(c > b, Mux(third, c, a), Mux(second, b, a)), name)


def tree_sum(values: Sequence[Value]) -> Value:
    """The sum of the values, in pairs of pairs."""
    level = list(values)
    while len(level) > 1:
        pairs = [a + b for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(level) - len(level) % 2 :]
    return level[0]


def fast_sum(
    m: Module, a: Value, b: Value, bits: int, name: str, carry_in: ValueLike = 0
) -> Signal:
    """The lowest `bits` bits of a + b + carry; blocks of 6 wait for their carry only to choose."""
    a, b = extended(m, a, bits, f"{name}_a"), extended(m, b, bits, f"{name}_b")
    blocks: list[Value] = []
    carry: Value = Value.cast(carry_in)
    for start in range(0, bits, 6):
        first, second = a[start : start + 6], b[start : start + 6]
        total = named(m, first + second + (0 if start else carry), f"{name}_{start}")
        if start:
            more = named(m, first + second + 1, f"{name}_{start}_carried")
            total = named(m, Mux(carry, more, total), f"{name}_{start}_chosen")
        blocks.append(total[: len(first)])
        carry = total[len(first)]
    return named(m, Cat(*blocks), name)


def carry_save(m: Module, terms: Sequence[Value], bits: int, name: str) -> list[Value]:
    """Two numbers whose sum is that of the terms, in the lowest `bits` bits; no carry travels."""
    level: list[Value] = [
        extended(m, term, bits, f"{name}_{index}") for index, term in enumerate(terms)
    ]
    depth = 0
    while len(level) > 2:
        following: list[Value] = []
        for index in range(0, len(level) - 2, 3):
            a, b, c = level[index : index + 3]
            at = f"{name}_{depth}_{index}"
            following.append(named(m, a ^ b ^ c, f"{at}_sum"))
            following.append(named(m, (((a & b) | (c & (a | b))) << 1)[:bits], f"{at}_carry"))
        level, depth = following + level[len(level) - len(level) % 3 :], depth + 1
    return level


def extended(m: Module, value: ValueLike, bits: int, name: str) -> Signal:
    """The value in so many bits, cut off or with copies of its sign."""
    signal = Signal(bits, name=name)
    m.d.comb += signal.eq(value)
    return signal


def product_parts(value: Value, factor: Value, bits: int) -> list[Value]:
    """Products with `bits` bits of the factor each, in their places: their sum is the product."""
    starts = range(0, len(factor), bits)
    parts = [factor[start : start + bits] for start in starts]
    if factor.shape().signed:
        parts[-1] = parts[-1].as_signed()
    return [(value * part) << start for start, part in zip(starts, parts, strict=True)]


def saturated(m: Module, value: Value, bits: int, name: str) -> Value:
    """An unsigned value as one of `bits` bits, its largest where it does not fit."""
    value = named(m, value, name)
    if len(value) <= bits:
        return value
    return Mux(value[bits:].any(), (1 << bits) - 1, value[:bits])


def saturated_signed(m: Module, value: Value, bits: int, name: str) -> Value:
    """A signed value as one of `bits` bits, the nearest where it does not fit."""
    value = named(m, value, name)
    if len(value) <= bits:
        return value
    sign, above = value[-1], value[bits - 1 : -1]
    fits = named(m, above == sign.replicate(len(above)), f"{name}_fits")
    largest = Cat((~sign).replicate(bits - 1), sign)
    return Mux(fits, value[:bits], largest).as_signed()


def clamped(m: Module, value: Value, low: int, high: int, name: str) -> Value:
    """A signed value brought into [low, high], in as many bits as that needs."""
    value = named(m, value, name)
    bits = max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1
    return Mux(value < low, low, Mux(value > high, high, value))[:bits].as_signed()
