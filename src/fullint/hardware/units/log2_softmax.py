"""The unit of the operation `log2_softmax` on 8-bit scores: exact distances and logarithm."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from fullint.hardware.pipeline import (
    Stage,
    count_bits,
    lanes_of,
    larger_of_pairs,
    named,
    saturated,
    tree_sum,
)
from fullint.hardware.row_buffer import RowBuffer
from fullint.integer.fixed_point import EXP2_CURVATURE, EXP2_SLOPE
from fullint.integer.softmax_parts import AMPLITUDE_BITS, FRACTION_BITS

SCORE_BITS = 8
DISTANCE_BITS = 15
CODE_BITS = 4
MANTISSA_BITS = 31


class Log2Softmax(Component):
    """Softmax of rows of uint8 scores, `lanes` a beat, as 4-bit codes k for 2^-k.

    A row passes three times: for its maximum, for the exponentials of the distances below it and
    their sum, and for the codes; so scores and distances each have a row buffer. Streams as those
    of `E2Softmax`. `multiplier`, `shift` and `rounding` are the operation's (its pre_shift is 0)
    and hold still.
    """

    def __init__(self, *, lanes: int, longest_row: int) -> None:
        self.lanes, self.longest_row = lanes, longest_row
        self.beats = -(-longest_row // lanes)
        super().__init__(
            {
                "multiplier": In(15),
                "shift": In(5),
                "rounding": In(FRACTION_BITS),
                "input_data": In(SCORE_BITS * lanes),
                "input_count": In(count_bits(lanes)),
                "input_last": In(1),
                "input_valid": In(1),
                "input_ready": Out(1),
                "output_data": Out(CODE_BITS * lanes),
                "output_count": Out(count_bits(lanes)),
                "output_last": Out(1),
                "output_valid": Out(1),
                "output_ready": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The three passes."""
        m = Module()
        scored, scores, maximum, count = self._maximum(m)
        row, distances, row_sum, count = self._sum(m, scored, scores, maximum, count)
        self._codes(m, row, distances, row_sum, count)
        return m

    def _maximum(self, m: Module) -> tuple[Stage, RowBuffer, Value, Value]:
        """Stage that holds a row's maximum; the row lies in the buffer."""
        m.submodules.row_buffer_scores = buffer = RowBuffer(SCORE_BITS * self.lanes + 1, self.beats)
        tree: list[Value] = lanes_of(self.input_data, self.lanes, SCORE_BITS)
        last = Cat(self.input_count, self.input_last)
        valid: Value = self.input_valid & buffer.space
        ready = Signal()
        m.d.comb += [
            self.input_ready.eq(ready & buffer.space),
            buffer.push.eq(self.input_valid & ready),
            buffer.push_data.eq(Cat(self.input_data, self.input_last)),
        ]
        for index in range(2):
            while len(tree) > (4, 1)[index]:
                tree = larger_of_pairs(m, tree, f"largest_{len(tree)}")
            stage = Stage(m, valid, f"search_{index}")
            m.d.comb += ready.eq(stage.ready)
            tree, last = stage.registers(tree, "largest"), stage.register(last, "last")
            valid, ready = stage.valid, Signal(name=f"search_{index}_leaves")
            stage.leaves_when(ready)
        running = Signal(SCORE_BITS)
        higher = named(m, Mux(tree[0] > running, tree[0], running), "higher")
        row = Stage(m, valid & last[-1], "scored")
        m.d.comb += ready.eq(row.ready | ~last[-1])
        with m.If(valid & ready):
            m.d.sync += running.eq(Mux(last[-1], 0, higher))
        return row, buffer, row.register(higher, "maximum"), row.register(last[:-1], "count")

    def _sum(
        self, m: Module, row: Stage, scores: RowBuffer, maximum: Value, count: Value
    ) -> tuple[Stage, RowBuffer, Value, Value]:
        """Stage that holds the sum of a row's exponentials; its distances lie in the buffer."""
        m.submodules.row_buffer_distances = buffer = RowBuffer(
            DISTANCE_BITS * self.lanes + 1, self.beats
        )
        below = Stage(m, row.valid & scores.filled, "below")
        m.d.comb += scores.pop.eq(below.take)
        last = scores.pop_data[-1]
        row.leaves_when(below.take & last)
        values = below.registers(
            [
                ((maximum - score)[:SCORE_BITS]) * self.multiplier
                for score in lanes_of(scores.pop_data, self.lanes, SCORE_BITS)
            ],
            "value",
        )
        count = Mux(last, count, self.lanes - 1)[: len(count)]
        last = below.register(Cat(count, last), "last")
        distance = Stage(m, below.valid, "distance")
        below.leaves_when(distance.ready)
        distances = distance.registers(
            [
                saturated(m, (((v << 1) >> self.shift) + 1) >> 1, DISTANCE_BITS, f"distance_{lane}")
                for lane, v in enumerate(values)
            ],
            "value",
        )
        last = distance.register(last, "last")
        inner = Stage(m, distance.valid & buffer.space, "inner")
        distance.leaves_when(inner.ready & buffer.space)
        m.d.comb += [
            buffer.push.eq(distance.valid & inner.ready),
            buffer.push_data.eq(Cat(*distances, last[-1])),
        ]
        slope, curvature = (
            round((1 << AMPLITUDE_BITS) * part) for part in (EXP2_SLOPE, EXP2_CURVATURE)
        )
        factors = inner.registers(
            [slope - ((d[:FRACTION_BITS] * curvature) >> FRACTION_BITS) for d in distances],
            "factor",
        )
        distances, last = inner.registers(distances, "distance"), inner.register(last, "last")
        outer = Stage(m, inner.valid, "outer")
        inner.leaves_when(outer.ready)
        mantissas = outer.registers(
            [
                ((1 << AMPLITUDE_BITS) - ((d[:FRACTION_BITS] * f) >> FRACTION_BITS))[
                    : AMPLITUDE_BITS + 1
                ]
                for d, f in zip(distances, factors, strict=True)
            ],
            "mantissa",
        )
        octaves = outer.registers([d[FRACTION_BITS:] for d in distances], "octaves")
        last = outer.register(last, "last")
        beat = Stage(m, outer.valid, "beat")
        outer.leaves_when(beat.ready)
        terms = [
            named(m, Mux(last[:-1] >= lane, mantissa >> octave, 0), f"term_{lane}")
            for lane, (mantissa, octave) in enumerate(zip(mantissas, octaves, strict=True))
        ]
        total = beat.register(tree_sum(terms), "sum")
        last = beat.register(last, "last")
        so_far = Signal(AMPLITUDE_BITS + self.longest_row.bit_length())
        new = named(m, (so_far + total)[: len(so_far)], "new_sum")
        summed = Stage(m, beat.valid & last[-1], "row")
        taken = summed.ready | ~last[-1]
        beat.leaves_when(taken)
        with m.If(beat.valid & taken):
            m.d.sync += so_far.eq(Mux(last[-1], 0, new))
        return summed, buffer, summed.register(new, "sum"), summed.register(last[:-1], "count")

    def _codes(
        self, m: Module, row: Stage, distances: RowBuffer, row_sum: Value, count: Value
    ) -> None:
        """The logarithm of the sum, a bit a cycle; then the codes."""
        whole, normalised = Signal(5), Signal(MANTISSA_BITS)
        for place in range(len(row_sum)):
            with m.If(row_sum[place]):
                m.d.comb += [
                    whole.eq(place),
                    normalised.eq(row_sum << (MANTISSA_BITS - 1 - place)),
                ]
        search = Stage(m, row.valid, "search")
        row.leaves_when(search.ready)
        count = search.register(count, "count")
        mantissa = Signal(MANTISSA_BITS)
        logarithm, step = Signal(5 + FRACTION_BITS), Signal(range(FRACTION_BITS + 1))
        square = named(m, (mantissa * mantissa) >> (MANTISSA_BITS - 1), "square")
        carry = square[MANTISSA_BITS]
        found = step == FRACTION_BITS
        with m.If(search.take):
            m.d.sync += [mantissa.eq(normalised), logarithm.eq(whole), step.eq(0)]
        with m.Elif(~found):
            m.d.sync += [
                mantissa.eq(Mux(carry, square >> 1, square)),
                logarithm.eq(Cat(carry, logarithm)),
                step.eq(step + 1),
            ]
        output = Stage(m, search.valid & found & distances.filled, "output")
        output.leaves_when(self.output_ready)
        m.d.comb += distances.pop.eq(output.take)
        last = distances.pop_data[-1]
        search.leaves_when(output.take & last)
        offset = named(m, logarithm - (AMPLITUDE_BITS << FRACTION_BITS) + self.rounding, "offset")[
            : 5 + FRACTION_BITS
        ]
        codes = [
            saturated(m, (distance + offset) >> FRACTION_BITS, CODE_BITS, f"code_{lane}")
            for lane, distance in enumerate(lanes_of(distances.pop_data, self.lanes, DISTANCE_BITS))
        ]
        m.d.comb += [
            self.output_valid.eq(output.valid),
            self.output_data.eq(Cat(output.registers(codes, "data"))),
            self.output_count.eq(
                output.register(Mux(last, count, self.lanes - 1)[: len(count)], "count")
            ),
            self.output_last.eq(output.register(last, "last")),
        ]
