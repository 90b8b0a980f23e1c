"""The unit of the operation `ailayernorm`, complete: statistics, 1/sqrt, affine stage."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out

from fullint.errors import FullintError
from fullint.hardware.pipeline import Stage, clamped, lanes_of, named, saturated, tree_sum
from fullint.hardware.row_buffer import RowBuffer
from fullint.integer import fixed_point
from fullint.integer.ops.ailayernorm import (
    BIAS_LIMIT,
    LARGEST_CHANNEL_SHIFT,
    LARGEST_SHIFT,
    MEAN_FRACTION_BITS,
    MULTIPLIER_LIMIT,
    NORMALISED_LIMIT,
    ROOT_TABLE,
    fraction_bits,
)

CODE_BITS = 8
CHANNEL_SHIFT_BITS = LARGEST_CHANNEL_SHIFT.bit_length()
MULTIPLIER_BITS = MULTIPLIER_LIMIT.bit_length()
BIAS_BITS = BIAS_LIMIT.bit_length()
EPSILON_BITS = 30
MEAN_BITS = 15
NORMALISED_BITS = NORMALISED_LIMIT.bit_length() + 1


class AILayerNorm(Component):
    """LayerNorm of tokens of `channels` uint8 codes, `lanes` a beat.

    Streams: `input` has a token's codes and their channel shifts, `parameters` each channel's
    multiplier and bias, once for every token; a beat moves where valid and ready are both high. A
    token begins with a beat of its own; in its last one, lanes without a channel hold code zero_x
    and shift 0. Constant inputs (zero_x, zero_point, shift, epsilon) may change between tokens.
    """

    def __init__(
        self, *, lanes: int, channels: int, ranges: int = 2, low: int = 0, high: int = 255
    ) -> None:
        if lanes < 1 or channels < 1:
            raise FullintError("a unit has at least one lane and one channel")
        self.lanes, self.channels, self.ranges = lanes, channels, ranges
        self.low, self.high = low, high
        self.beats = -(-channels // lanes)
        super().__init__(
            {
                "zero_x": In(CODE_BITS),
                "zero_point": In(signed(CODE_BITS + 1)),
                "shift": In(LARGEST_SHIFT.bit_length()),
                "epsilon": In(EPSILON_BITS),
                "input_data": In(CODE_BITS * lanes),
                "input_channel_shift": In(CHANNEL_SHIFT_BITS * lanes),
                "input_valid": In(1),
                "input_ready": Out(1),
                "parameters_multiplier": In(MULTIPLIER_BITS * lanes),
                "parameters_bias": In(BIAS_BITS * lanes),
                "parameters_valid": In(1),
                "parameters_ready": Out(1),
                "output_data": Out(CODE_BITS * lanes),
                "output_last": Out(1),
                "output_valid": Out(1),
                "output_ready": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Sums of a token; from them its mean and root; then its channels, beat by beat."""
        m = Module()
        m.submodules.row_buffer = buffer = RowBuffer(
            (CODE_BITS + CHANNEL_SHIFT_BITS) * self.lanes, self.beats
        )
        row, total, squares = self._sums(m, buffer)
        token, mean, mantissa, places = self._root(m, row, total, squares)
        self._normalise(m, buffer, token, mean, mantissa, places)
        return m

    def _sums(self, m: Module, buffer: RowBuffer) -> tuple[Stage, Value, Value]:
        """Stage that holds a token's sums of values and of compressed squares."""
        codes = lanes_of(self.input_data, self.lanes, CODE_BITS)
        shifts = lanes_of(self.input_channel_shift, self.lanes, CHANNEL_SHIFT_BITS)
        compress = Stage(m, self.input_valid & buffer.space, "compress")
        m.d.comb += [
            self.input_ready.eq(compress.ready & buffer.space),
            buffer.push.eq(self.input_valid & compress.ready),
            buffer.push_data.eq(Cat(self.input_data, self.input_channel_shift)),
        ]
        values, roots = [], []
        for lane, (code, shift) in enumerate(zip(codes, shifts, strict=True)):
            centred = named(m, code - self.zero_x, f"centred_{lane}")
            magnitude = named(m, Mux(centred < 0, -centred, centred)[:CODE_BITS], f"size_{lane}")
            values.append(centred << shift)
            roots.append(Cat(*self._compress(m, magnitude, f"{lane}"), shift))
        values = compress.registers(values, "value")
        roots = compress.registers(roots, "root")
        beat = Stage(m, compress.valid, "beat")
        compress.leaves_when(beat.ready)
        total = beat.register(tree_sum(values), "total")
        squares = beat.register(
            tree_sum([self._square(m, root, f"{k}") for k, root in enumerate(roots)]), "squares"
        )
        position = Signal(range(self.beats))
        last = named(m, position == self.beats - 1, "last_of_sums")
        row = Stage(m, beat.valid & last, "row")
        taken = row.ready | ~last
        beat.leaves_when(taken)
        sums = []
        for value, name in ((total, "total"), (squares, "squares")):
            bits = len(value) + (self.beats - 1).bit_length()
            so_far = Signal(signed(bits) if value.shape().signed else bits, name=f"{name}_so_far")
            new = named(m, so_far + value, f"{name}_new")
            with m.If(beat.valid & taken):
                m.d.sync += so_far.eq(Mux(last, 0, new))
            sums.append(row.register(new, name))
        with m.If(beat.valid & taken):
            m.d.sync += position.eq(Mux(last, 0, position + 1))
        return row, sums[0], sums[1]

    def _compress(self, m: Module, magnitude: Value, name: str) -> tuple[Value, Value]:
        """4-bit root and number of the range: 0 for the finest steps."""
        coarse = named(m, magnitude[6:].any(), f"coarse_{name}")
        by_16 = saturated(m, (magnitude + 8) >> 4, 4, f"by_16_{name}")
        by_4 = saturated(m, (magnitude[:6] + 2) >> 2, 4, f"by_4_{name}")
        root = Mux(coarse, by_16, by_4)
        if self.ranges == 2:
            return root, coarse
        small = named(m, ~magnitude[4:].any(), f"small_{name}")
        return Mux(small, magnitude[:4], root), Cat(~coarse & ~small, coarse)

    def _square(self, m: Module, root: Value, name: str) -> Value:
        """Compressed square, in units of 16 with two ranges, shifted by the channel's shift."""
        square = Signal(8, name=f"square_{name}")
        with m.Switch(root[:4]):
            for value in range(16):
                with m.Case(value):
                    m.d.comb += square.eq(value * value)
        ranges, shift = root[4:-CHANNEL_SHIFT_BITS], root[-CHANNEL_SHIFT_BITS:]
        scaled: Value = square
        for index, chosen in enumerate(ranges):
            scaled = named(m, Mux(chosen, square << 4 * (index + 1), scaled), f"s_{index}_{name}")
        return scaled << Cat(Const(0, 1), shift)

    def _root(
        self, m: Module, row: Stage, total: Value, squares: Value
    ) -> tuple[Stage, Value, Value, Value]:
        """Stage that holds a token's mean, the mantissa of its 1/sqrt and the places to shift."""
        mantissa, exponent = (int(part) for part in fixed_point.reciprocal(np.array(self.channels)))
        unit_bits = 4 if self.ranges == 2 else 0
        mean_bits, second_bits = exponent - MEAN_FRACTION_BITS, exponent - 2 * MEAN_FRACTION_BITS
        second_bits -= unit_bits
        products = Stage(m, row.valid, "products")
        row.leaves_when(products.ready)
        mean_parts = products.registers(_product_parts(total, mantissa, mean_bits), "mean")
        second_parts = products.registers(_product_parts(squares, mantissa, second_bits), "second")
        moments = Stage(m, products.valid, "moments")
        products.leaves_when(moments.ready)
        mean = moments.register((tree_sum(mean_parts) >> mean_bits)[:MEAN_BITS].as_signed(), "mean")
        second = moments.register(tree_sum(second_parts) >> second_bits, "second")
        square = Stage(m, moments.valid, "square")
        moments.leaves_when(square.ready)
        size = named(m, Mux(mean < 0, -mean, mean)[: MEAN_BITS - 1], "mean_size")
        mean_square = square.register(size * size, "mean")
        second, mean = square.register(second, "second"), square.register(mean, "mean_of_token")
        variance = Stage(m, square.valid, "variance")
        square.leaves_when(variance.ready)
        difference = named(m, second - mean_square, "difference")
        value = variance.register(
            Mux(difference < 0, 0, difference)[: len(difference) - 1], "second"
        )
        mean = variance.register(mean, "mean")
        scale = Stage(m, variance.valid, "scale")
        variance.leaves_when(scale.ready)
        value = scale.register(value + self.epsilon, "variance")
        mean = scale.register(mean, "mean")
        token = Stage(m, scale.valid, "token")
        scale.leaves_when(token.ready)
        doubled = named(m, value << 1, "doubled_variance")
        pairs = -(-(len(doubled) - 5) // 2)
        index, places = Signal(7), Signal(range(pairs))
        # The highest pair of bits that holds a one leads the index; a later If overrides.
        for pair in range(pairs):
            with m.If(doubled[2 * pair + 5 : 2 * pair + 7].any()):
                m.d.comb += index.eq(doubled >> 2 * pair), places.eq(pair)
        root = Signal(CODE_BITS)
        with m.Switch(index):
            for entry, found in enumerate(ROOT_TABLE.tolist()):
                with m.Case(32 + entry):
                    m.d.comb += root.eq(found)
        return (
            token,
            token.register(mean, "mean"),
            token.register(root, "mantissa"),
            token.register(places, "places"),
        )

    def _normalise(
        self,
        m: Module,
        buffer: RowBuffer,
        token: Stage,
        mean: Value,
        mantissa: Value,
        places: Value,
    ) -> None:
        """A token's beats, centred, divided by its deviation, and put through gamma and beta."""
        centre = Stage(m, token.valid & buffer.filled, "centre")
        m.d.comb += buffer.pop.eq(centre.take)
        position = Signal(range(self.beats))
        last = named(m, position == self.beats - 1, "last_of_beats")
        with m.If(centre.take):
            m.d.sync += position.eq(Mux(last, 0, position + 1))
        token.leaves_when(centre.take & last)
        codes = lanes_of(buffer.pop_data, self.lanes, CODE_BITS)
        shifts = lanes_of(buffer.pop_data[CODE_BITS * self.lanes :], self.lanes, CHANNEL_SHIFT_BITS)
        centred = centre.registers(
            [
                ((((code - self.zero_x) << shift) << MEAN_FRACTION_BITS) - mean)[:15].as_signed()
                for code, shift in zip(codes, shifts, strict=True)
            ],
            "value",
        )
        mantissa, places = centre.register(mantissa, "mantissa"), centre.register(places, "places")
        last = centre.register(last, "last")

        scale = Stage(m, centre.valid, "numerator")
        centre.leaves_when(scale.ready)
        left = fraction_bits(self.channels) - 1
        numerators = scale.registers(
            [
                clamped(
                    m,
                    (((value << left) >> places) + 1) >> 1,
                    -NORMALISED_LIMIT,
                    NORMALISED_LIMIT,
                    f"numerator_{lane}",
                )
                for lane, value in enumerate(centred)
            ],
            "value",
        )
        mantissa, last = scale.register(mantissa, "mantissa"), scale.register(last, "last")

        divide = Stage(m, scale.valid, "normalised")
        scale.leaves_when(divide.ready)
        normalised = divide.registers(
            [((value * mantissa + 128) >> 8)[:NORMALISED_BITS].as_signed() for value in numerators],
            "value",
        )
        last = divide.register(last, "last")
        self._affine(m, divide, normalised, last)

    def _affine(self, m: Module, source: Stage, normalised: list[Value], last: Value) -> None:
        """gamma and beta, and the output's grid."""
        affine = Stage(m, source.valid & self.parameters_valid, "affine")
        source.leaves_when(affine.ready & self.parameters_valid)
        m.d.comb += self.parameters_ready.eq(affine.ready & source.valid)
        multipliers = lanes_of(self.parameters_multiplier, self.lanes, signed(MULTIPLIER_BITS))
        biases = lanes_of(self.parameters_bias, self.lanes, signed(BIAS_BITS))
        values = affine.registers(
            [
                value * multiplier + bias
                for value, multiplier, bias in zip(normalised, multipliers, biases, strict=True)
            ],
            "value",
        )
        last = affine.register(last, "last")
        rounded = Stage(m, affine.valid, "rounded")
        affine.leaves_when(rounded.ready)
        values = rounded.registers(
            [((((value << 1) >> self.shift) + 1) >> 1) + self.zero_point for value in values],
            "value",
        )
        last = rounded.register(last, "last")
        output = Stage(m, rounded.valid, "output")
        rounded.leaves_when(output.ready)
        output.leaves_when(self.output_ready)
        results = [
            clamped(
                m,
                value,
                self.low,
                self.high,
                f"result_{lane}",
            )[:CODE_BITS]
            for lane, value in enumerate(values)
        ]
        m.d.comb += [
            self.output_valid.eq(output.valid),
            self.output_data.eq(Cat(output.registers(results, "data"))),
            self.output_last.eq(output.register(last, "last")),
        ]


def _product_parts(value: Value, factor: int, bits: int) -> list[Value]:
    """Four or fewer numbers whose sum is value * factor + 2^bits / 2, by shifted additions."""
    terms = [value << bit for bit in range(factor.bit_length()) if factor >> bit & 1]
    terms.append(Const(1 << bits >> 1))
    return [tree_sum(terms[first::4]) for first in range(min(4, len(terms)))]
