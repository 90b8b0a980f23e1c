"""What units of LayerNorm have in common: their streams, sums over a token, and affine stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out

from fullint.hardware.pipeline import (
    Stage,
    carry_save,
    clamped,
    fast_sum,
    lanes_of,
    named,
    product_parts,
    saturated_signed,
)
from fullint.hardware.row_buffer import RowBuffer

CODE_BITS = 8
CHANNEL_SHIFT_BITS = 2
CENTRED_BITS = CODE_BITS + 1
LARGEST_SQUARE_BITS = 2 * CODE_BITS + 2 * 3
# A result is at most 255 from zero, and so is its zero point.
RESULT_BITS = CODE_BITS + 4


class LayerNormFrame(Component):
    """LayerNorm of tokens of `channels` uint8 codes, `lanes` a beat.

    Streams: `input` has a token's codes and their channel shifts, `parameters` what each channel's
    affine stage needs, once for every token; a beat moves where valid and ready are both high. A
    token begins with a beat of its own; in its last one, lanes without a channel hold code zero_x
    and shift 0. Constant inputs (zero_x, zero_point, epsilon, ...) hold still while a token is
    inside.

    Attributes:
        multiplier_bits, bias_bits, epsilon_bits: widths of the constants.
        mantissa_bits: fraction bits of the token's reciprocal root.
        normalised_bits: of the normalised value, without its sign.
        parameter_fields, settings: further ports, with their widths.
    """

    multiplier_bits: int
    bias_bits: int
    epsilon_bits: int
    mantissa_bits: int
    normalised_bits: int
    parameter_fields: ClassVar[dict[str, int]] = {}
    settings: ClassVar[dict[str, int]] = {}

    def __init__(self, *, lanes: int, channels: int, low: int = 0, high: int = 255) -> None:
        self.lanes, self.channels = lanes, channels
        self.low, self.high = low, high
        self.beats = -(-channels // lanes)
        super().__init__(
            {
                "zero_x": In(CODE_BITS),
                "zero_point": In(signed(CODE_BITS + 1)),
                "epsilon": In(self.epsilon_bits),
                **{name: In(width) for name, width in self.settings.items()},
                "input_data": In(CODE_BITS * lanes),
                "input_channel_shift": In(CHANNEL_SHIFT_BITS * lanes),
                "input_valid": In(1),
                "input_ready": Out(1),
                "parameters_multiplier": In(self.multiplier_bits * lanes),
                "parameters_bias": In(self.bias_bits * lanes),
                **{
                    f"parameters_{name}": In(width * lanes)
                    for name, width in self.parameter_fields.items()
                },
                "parameters_valid": In(1),
                "parameters_ready": Out(1),
                "output_data": Out(CODE_BITS * lanes),
                "output_last": Out(1),
                "output_valid": Out(1),
                "output_ready": In(1),
            }
        )

    def prepared(self, m: Module, centred: Value, name: str) -> Value:
        """A lane's square, or what it follows from, of a code less its zero."""
        raise NotImplementedError

    def square(self, m: Module, prepared: Value, name: str) -> Value:
        """A lane's square, before its channel's shift."""
        raise NotImplementedError

    def root(
        self, m: Module, row: Stage, total: Value, squares: Value
    ) -> tuple[Stage, Value, Value, Value]:
        """Stage that holds a token's mean, the mantissa of its 1/sqrt and the places to shift."""
        raise NotImplementedError

    def centred(self, value: Value, mean: Value) -> Value:
        """A shifted value less its token's mean."""
        raise NotImplementedError

    def shifts(self, parameters: Stage, affine: Stage) -> list[Value]:
        """The last shift of each lane, for the beat in `affine`, which follows `parameters`."""
        raise NotImplementedError

    @property
    def left(self) -> int:
        """Places to the left of a centred value before `places` to the right."""
        raise NotImplementedError

    def elaborate(self, platform: object) -> Module:
        """Sums of a token; from them its mean and root; then its channels, beat by beat."""
        m = Module()
        m.submodules.row_buffer = buffer = RowBuffer(
            (CENTRED_BITS + CHANNEL_SHIFT_BITS) * self.lanes, self.beats
        )
        row, total, squares = self._sums(m, buffer)
        token, mean, mantissa, places = self.root(m, row, total, squares)
        scaled, numerators, mantissa, last = self._numerators(
            m, buffer, token, mean, mantissa, places
        )
        normalised, values, last = self._normalised(m, scaled, numerators, mantissa, last)
        self._affine(m, normalised, values, last)
        return m

    def _sums(self, m: Module, buffer: RowBuffer) -> tuple[Stage, Value, Value]:
        """Stage that holds a token's sums of values and of squares."""
        stage = Stage(m, self.input_valid, "centred")
        m.d.comb += self.input_ready.eq(stage.ready)
        codes = lanes_of(self.input_data, self.lanes, CODE_BITS)
        centred = stage.registers([code - self.zero_x for code in codes], "code")
        shifts = stage.register(self.input_channel_shift, "shift")
        prepared = Stage(m, stage.valid & buffer.space, "prepared")
        stage.leaves_when(prepared.ready & buffer.space)
        m.d.comb += [
            buffer.push.eq(stage.valid & prepared.ready),
            buffer.push_data.eq(Cat(*centred, shifts)),
        ]
        roots = prepared.registers(
            [self.prepared(m, code, f"{lane}") for lane, code in enumerate(centred)], "square"
        )
        centred = prepared.registers(centred, "code")
        shifts = lanes_of(prepared.register(shifts, "shift"), self.lanes, CHANNEL_SHIFT_BITS)
        beat = prepared.followed_by("beat")
        values = [code << shift for code, shift in zip(centred, shifts, strict=True)]
        squares = [
            self.square(m, root, f"{lane}") << Cat(0, shift)[: CHANNEL_SHIFT_BITS + 1]
            for lane, (root, shift) in enumerate(zip(roots, shifts, strict=True))
        ]
        more = (self.channels - 1).bit_length()
        position, last = self._position(m, "sums")
        row = Stage(m, beat.valid & last, "row")
        taken = row.ready | ~last
        beat.leaves_when(taken)
        with m.If(beat.valid & taken):
            m.d.sync += position.eq(Mux(last, 0, position + 1))
        sums = []
        for terms, bits, name in (
            (values, CENTRED_BITS + 3 + more, "total"),
            (squares, LARGEST_SQUARE_BITS + more, "squares"),
        ):
            parts = beat.registers(carry_save(m, terms, bits, f"{name}_beat"), name)
            so_far = Signal(bits, name=f"{name}_so_far")
            pair = carry_save(m, [so_far, *parts], bits, f"{name}_row")
            new = fast_sum(m, pair[0], pair[-1] if len(pair) > 1 else 0, bits, f"{name}_new")
            with m.If(beat.valid & taken):
                m.d.sync += so_far.eq(Mux(last, 0, new))
            sums.append(row.register(new, name))
        return row, sums[0].as_signed(), sums[1]

    def _position(self, m: Module, name: str) -> tuple[Signal, Value]:
        position = Signal(range(self.beats), name=f"position_of_{name}")
        return position, named(m, position == self.beats - 1, f"last_of_{name}")

    def _numerators(
        self,
        m: Module,
        buffer: RowBuffer,
        token: Stage,
        mean: Value,
        mantissa: Value,
        places: Value,
    ) -> tuple[Stage, list[Value], Value, Value]:
        """Stage that holds a beat's values less their mean, shifted to the normalised width."""
        centre = Stage(m, token.valid & buffer.filled, "centre")
        m.d.comb += buffer.pop.eq(centre.take)
        position, last = self._position(m, "beats")
        with m.If(centre.take):
            m.d.sync += position.eq(Mux(last, 0, position + 1))
        token.leaves_when(centre.take & last)
        codes = lanes_of(buffer.pop_data, self.lanes, signed(CENTRED_BITS))
        shifts = lanes_of(
            buffer.pop_data[CENTRED_BITS * self.lanes :], self.lanes, CHANNEL_SHIFT_BITS
        )
        values = [code << shift for code, shift in zip(codes, shifts, strict=True)]
        values = centre.registers([self.centred(value, mean) for value in values], "value")
        mantissa, places = centre.register(mantissa, "mantissa"), centre.register(places, "places")
        last = centre.register(last, "last")
        halves = centre.followed_by("halves")
        bits = self.normalised_bits
        values = halves.registers(
            [
                saturated_signed(m, (v << self.left + 1) >> places, bits + 2, f"halves_{lane}")
                for lane, v in enumerate(values)
            ],
            "value",
        )
        mantissa, last = halves.register(mantissa, "mantissa"), halves.register(last, "last")
        stage = halves.followed_by("numerator")
        limit = (1 << bits) - 1
        values = [
            clamped(m, (v + 1) >> 1, -limit, limit, f"numerator_{lane}")
            for lane, v in enumerate(values)
        ]
        return (
            stage,
            stage.registers(values, "value"),
            stage.register(mantissa, "mantissa"),
            stage.register(last, "last"),
        )

    def _normalised(
        self, m: Module, source: Stage, numerators: Sequence[Value], mantissa: Value, last: Value
    ) -> tuple[Stage, list[Value], Value]:
        """Stage that holds a beat of normalised values: numerators times the mantissa."""
        products = source.followed_by("products_of_lanes")
        half = (self.mantissa_bits + 1) // 2
        rounding = 1 << self.mantissa_bits - 1
        pairs = []
        for lane, value in enumerate(numerators):
            low, high = product_parts(value, mantissa, half)
            pairs.append(products.registers([low, high >> half], f"part_{lane}"))
        last = products.register(last, "last")
        stage = products.followed_by("normalised")
        values = [
            ((low + (high << half) + rounding) >> self.mantissa_bits)[
                : self.normalised_bits + 1
            ].as_signed()
            for low, high in pairs
        ]
        return stage, stage.registers(values, "value"), stage.register(last, "last")

    def _affine(self, m: Module, source: Stage, normalised: Sequence[Value], last: Value) -> None:
        """gamma and beta, and the output's grid."""
        products = Stage(m, source.valid & self.parameters_valid, "parameters_taken")
        source.leaves_when(products.ready & self.parameters_valid)
        m.d.comb += self.parameters_ready.eq(products.ready & source.valid)
        multipliers = lanes_of(self.parameters_multiplier, self.lanes, signed(self.multiplier_bits))
        biases = lanes_of(self.parameters_bias, self.lanes, signed(self.bias_bits))
        half, pairs = self.multiplier_bits // 2, []
        for lane, value in enumerate(normalised):
            low, *high = product_parts(value, multipliers[lane], half)
            parts = [low + biases[lane], sum(high[1:], high[0]) >> half]
            pairs.append(products.registers(parts, f"part_{lane}"))
        last = products.register(last, "last")
        affine = products.followed_by("affine")
        values = affine.registers([low + (high << half) for low, high in pairs], "value")
        last = affine.register(last, "last")
        shifts = self.shifts(products, affine)
        halves = affine.followed_by("result_halves")
        values = halves.registers(
            [
                saturated_signed(m, (value << 1) >> shift, RESULT_BITS, f"result_halves_{lane}")
                for lane, (value, shift) in enumerate(zip(values, shifts, strict=True))
            ],
            "value",
        )
        last = halves.register(last, "last")
        output = halves.followed_by("output")
        output.leaves_when(self.output_ready)
        offset = Cat(1, self.zero_point).as_signed()
        results = [
            clamped(m, (value + offset) >> 1, self.low, self.high, f"result_{lane}")[:CODE_BITS]
            for lane, value in enumerate(values)
        ]
        m.d.comb += [
            self.output_valid.eq(output.valid),
            self.output_data.eq(Cat(output.registers(results, "data"))),
            self.output_last.eq(output.register(last, "last")),
        ]
