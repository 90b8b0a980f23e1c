"""What units of LayerNorm have in common: their streams, sums over a token, and affine stage."""

from __future__ import annotations

from typing import ClassVar

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out

from fullint.hardware.pipeline import Stage, clamped, lanes_of, named, rounded_shift, tree_sum
from fullint.hardware.row_buffer import RowBuffer

CODE_BITS = 8
CHANNEL_SHIFT_BITS = 2


class LayerNormFrame(Component):
    """LayerNorm of tokens of `channels` uint8 codes, `lanes` a beat.

    Streams: `input` has a token's codes and their channel shifts, `parameters` what each channel's
    affine stage needs, once for every token; a beat moves where valid and ready are both high. A
    token begins with a beat of its own; in its last one, lanes without a channel hold code zero_x
    and shift 0. Constant inputs (zero_x, zero_point, epsilon, ...) may change between tokens.

    Attributes:
        multiplier_bits, bias_bits, epsilon_bits: widths of the constants.
        mantissa_bits: fraction bits of the token's reciprocal root.
        normalised_limit: bound on the normalised value.
        parameter_fields, settings: further ports, with their widths.
    """

    multiplier_bits: int
    bias_bits: int
    epsilon_bits: int
    mantissa_bits: int
    normalised_limit: int
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

    def prepared(self, m: Module, centred: Value, shift: Value, name: str) -> Value:
        """What a lane keeps for its square, of a code less its zero and its channel's shift."""
        raise NotImplementedError

    def square(self, m: Module, value: Value, prepared: Value, name: str) -> Value:
        """A lane's square, of its shifted value and of what was prepared."""
        raise NotImplementedError

    def root(
        self, m: Module, row: Stage, total: Value, squares: Value
    ) -> tuple[Stage, Value, Value, Value]:
        """Stage that holds a token's mean, the mantissa of its 1/sqrt and the places to shift."""
        raise NotImplementedError

    def centred(self, value: Value, mean: Value) -> Value:
        """A shifted value less its token's mean."""
        raise NotImplementedError

    def shifts(self, affine: Stage) -> list[Value]:
        """The last shift of each lane, with the beat of parameters that `affine` holds."""
        raise NotImplementedError

    @property
    def left(self) -> int:
        """Places to the left of a centred value before `places` to the right."""
        raise NotImplementedError

    def elaborate(self, platform: object) -> Module:
        """Sums of a token; from them its mean and root; then its channels, beat by beat."""
        m = Module()
        m.submodules.row_buffer = buffer = RowBuffer(
            (CODE_BITS + CHANNEL_SHIFT_BITS) * self.lanes, self.beats
        )
        row, total, squares = self._sums(m, buffer)
        token, mean, mantissa, places = self.root(m, row, total, squares)
        self._normalise(m, buffer, token, mean, mantissa, places)
        return m

    def _sums(self, m: Module, buffer: RowBuffer) -> tuple[Stage, Value, Value]:
        """Stage that holds a token's sums of values and of squares."""
        codes = lanes_of(self.input_data, self.lanes, CODE_BITS)
        shifts = lanes_of(self.input_channel_shift, self.lanes, CHANNEL_SHIFT_BITS)
        compress = Stage(m, self.input_valid & buffer.space, "compress")
        m.d.comb += [
            self.input_ready.eq(compress.ready & buffer.space),
            buffer.push.eq(self.input_valid & compress.ready),
            buffer.push_data.eq(Cat(self.input_data, self.input_channel_shift)),
        ]
        values, prepared = [], []
        for lane, (code, shift) in enumerate(zip(codes, shifts, strict=True)):
            centred = named(m, code - self.zero_x, f"centred_{lane}")
            values.append(centred << shift)
            prepared.append(self.prepared(m, centred, shift, f"{lane}"))
        values = compress.registers(values, "value")
        prepared = compress.registers(prepared, "prepared")
        beat = Stage(m, compress.valid, "beat")
        compress.leaves_when(beat.ready)
        total = beat.register(tree_sum(values), "total")
        squares = [
            self.square(m, value, part, f"{lane}")
            for lane, (value, part) in enumerate(zip(values, prepared, strict=True))
        ]
        squares = beat.register(tree_sum(squares), "squares")
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
                self.centred((code - self.zero_x) << shift, mean)
                for code, shift in zip(codes, shifts, strict=True)
            ],
            "value",
        )
        mantissa, places = centre.register(mantissa, "mantissa"), centre.register(places, "places")
        last = centre.register(last, "last")

        scale = Stage(m, centre.valid, "numerator")
        centre.leaves_when(scale.ready)
        limit = self.normalised_limit
        numerators = scale.registers(
            [
                clamped(
                    m,
                    (((value << self.left + 1) >> places) + 1) >> 1,
                    -limit,
                    limit,
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
            [
                rounded_shift(value * mantissa, self.mantissa_bits)[: len(value)].as_signed()
                for value in numerators
            ],
            "value",
        )
        last = divide.register(last, "last")
        self._affine(m, divide, normalised, last)

    def _affine(self, m: Module, source: Stage, normalised: list[Value], last: Value) -> None:
        """gamma and beta, and the output's grid."""
        affine = Stage(m, source.valid & self.parameters_valid, "affine")
        source.leaves_when(affine.ready & self.parameters_valid)
        m.d.comb += self.parameters_ready.eq(affine.ready & source.valid)
        multipliers = lanes_of(self.parameters_multiplier, self.lanes, signed(self.multiplier_bits))
        biases = lanes_of(self.parameters_bias, self.lanes, signed(self.bias_bits))
        values = affine.registers(
            [
                value * multiplier + bias
                for value, multiplier, bias in zip(normalised, multipliers, biases, strict=True)
            ],
            "value",
        )
        last = affine.register(last, "last")
        shifts = self.shifts(affine)
        rounded = Stage(m, affine.valid, "rounded")
        affine.leaves_when(rounded.ready)
        values = rounded.registers(
            [
                ((((value << 1) >> shift) + 1) >> 1) + self.zero_point
                for value, shift in zip(values, shifts, strict=True)
            ],
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
