"""The unit of the operation `e2softmax` on 8-bit codes."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from fullint.hardware.pipeline import (
    Stage,
    count_bits,
    fast_sum,
    lanes_of,
    larger_of_pairs,
    largest_of_three,
    named,
    saturated,
    tree_sum,
)
from fullint.hardware.row_buffer import RowBuffer
from fullint.integer.ops.e2softmax import PUBLISHED_QUOTIENTS, log2_exp

CODE_BITS = 8
EXPONENT_BITS = 4
SUM_FRACTION_BITS = 15
SHIFT_BITS = 5
# Comparators in a row between two registers.
SEARCH_LEVELS = 2


class E2Softmax(Component):
    """Softmax of rows of 8-bit codes, `lanes` a beat; `group` = lanes in the operation.

    With `known_maximum` the row's maximum comes with every beat, which is the operation with a
    group as long as the row: no search, and no correction of the exponents afterwards.

    Streams: a beat moves where valid and ready are both high. All beats of a row but the last are
    full; `count` is the number of elements in a beat, less one. They are in the lowest lanes; the
    others hold 0. A row has at most `longest_row` elements.
    """

    def __init__(
        self,
        *,
        lanes: int,
        longest_row: int,
        fraction_bits: int,
        natural: bool = True,
        output_bits: int = 8,
        quotients: tuple[int, int] = PUBLISHED_QUOTIENTS,
        known_maximum: bool = False,
    ) -> None:
        self.lanes, self.longest_row = lanes, longest_row
        self.fraction_bits, self.natural = fraction_bits, natural
        self.output_bits, self.quotients = output_bits, quotients
        self.known_maximum = known_maximum
        super().__init__(
            {
                "input_data": In(CODE_BITS * lanes),
                **({"input_maximum": In(CODE_BITS)} if known_maximum else {}),
                "input_count": In(count_bits(lanes)),
                "input_last": In(1),
                "input_valid": In(1),
                "input_ready": Out(1),
                "output_data": Out(output_bits * lanes),
                "output_count": Out(count_bits(lanes)),
                "output_last": Out(1),
                "output_valid": Out(1),
                "output_ready": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Maximum, exponents and their sum; then, when the row is complete, the division."""
        m = Module()
        codes = lanes_of(self.input_data, self.lanes, CODE_BITS)
        last = Cat(self.input_count, self.input_last)
        if self.known_maximum:
            valid, ready = self.input_valid, self.input_ready
            maximum = previous = Value.cast(self.input_maximum)
        else:
            stage, codes, maximum, previous, last = self._maximum(m, codes, last)
            valid, ready = stage.valid, Signal()
            stage.leaves_when(ready)
        stage = Stage(m, valid, "exponents")
        m.d.comb += ready.eq(stage.ready)
        exponents = stage.registers(
            [
                self._log2_exp(m, maximum - code, EXPONENT_BITS, f"exponent_{index}")
                for index, code in enumerate(codes)
            ],
            "exponent",
        )
        rise = maximum - previous
        maximum = stage.register(maximum, "maximum")
        first = Signal(init=1)
        with m.If(stage.take):
            m.d.sync += first.eq(last[-1])
        # The largest shift leaves nothing of the row before.
        rise_exponent = self._log2_exp(m, rise, SHIFT_BITS, "rise_exponent")
        shift = stage.register(rise_exponent | first.replicate(SHIFT_BITS), "shift")
        last = stage.register(last, "last")
        self._sum(m, stage, exponents, maximum, shift, last)
        return m

    def _maximum(
        self, m: Module, codes: list[Value], last: Value
    ) -> tuple[Stage, list[Value], Value, Value, Value]:
        """The running maximum with this beat and before it."""
        valid, ready = self.input_valid, self.input_ready
        tree, level = codes, 0
        while len(tree) > 4:
            for _ in range(SEARCH_LEVELS):
                if len(tree) > 4:
                    tree, level = larger_of_pairs(m, tree, f"largest_{level}"), level + 1
            stage = Stage(m, valid, f"search_{level}")
            codes, tree = stage.registers(codes, "code"), stage.registers(tree, "largest")
            last = stage.register(last, "last")
            m.d.comb += ready.eq(stage.ready)
            valid, ready = stage.valid, Signal(name=f"search_{level}_leaves")
            stage.leaves_when(ready)
        stage = Stage(m, valid, "maximum")
        m.d.comb += ready.eq(stage.ready)
        running = Signal(CODE_BITS)
        higher = largest_of_three(m, [*larger_of_pairs(m, tree, "largest"), running], "higher")
        with m.If(stage.take):
            m.d.sync += running.eq(Mux(last[-1], 0, higher))
        return (
            stage,
            stage.registers(codes, "code"),
            stage.register(higher, "maximum"),
            stage.register(running, "previous"),
            stage.register(last, "last"),
        )

    def _log2_exp(self, m: Module, below: Value, bits: int, name: str) -> Value:
        """The operation's log2_exp saturated to `bits` bits, as a table that becomes gates."""
        below = named(m, below[:CODE_BITS], f"{name}_below")
        exponent = Signal(bits, name=name)
        table = log2_exp(np.arange(1 << CODE_BITS), self.fraction_bits, int(self.natural))
        with m.Switch(below):
            for code, entry in enumerate(np.minimum(table, (1 << bits) - 1).tolist()):
                with m.Case(code):
                    m.d.comb += exponent.eq(entry)
        return exponent

    def _sum(
        self,
        m: Module,
        source: Stage,
        exponents: list[Value],
        maximum: Value,
        shift: Value,
        last: Value,
    ) -> None:
        """Buffer the exponents and sum their powers."""
        m.submodules.row_buffer = buffer = RowBuffer(
            EXPONENT_BITS * self.lanes + 1 + (0 if self.known_maximum else CODE_BITS),
            -(-self.longest_row // self.lanes),
        )
        weights = Stage(m, source.valid & buffer.space, "weights")
        source.leaves_when(weights.ready & buffer.space)
        m.d.comb += [
            buffer.push.eq(source.valid & weights.ready),
            buffer.push_data.eq(
                Cat(*exponents, last[-1], *([] if self.known_maximum else [maximum]))
            ),
        ]
        terms = [
            named(m, Mux(last[:-1] >= lane, Const(1, 1) << ~exponent, 0), f"term_{lane}")
            for lane, exponent in enumerate(exponents)
        ]
        pairs = _sums_of_powers(m, terms)
        quarters = [tree_sum(pairs[k::4]) for k in range(min(4, len(pairs)))]
        quarters = weights.registers(quarters, "quarter")
        shift, last = weights.register(shift, "shift"), weights.register(last, "last")
        maximum = weights.register(maximum, "maximum")
        beat = Stage(m, weights.valid, "beat")
        weights.leaves_when(beat.ready)
        total = beat.register(tree_sum(quarters), "sum")
        shift, last = beat.register(shift, "shift"), beat.register(last, "last")
        maximum = beat.register(maximum, "maximum")
        row_sum = Signal(SUM_FRACTION_BITS + self.longest_row.bit_length())
        new_sum = fast_sum(m, row_sum >> shift, total, len(row_sum), "new_sum")
        row = Stage(m, beat.valid & last[-1], "row")
        taken = row.ready | ~last[-1]
        beat.leaves_when(taken)
        with m.If(beat.valid & taken):
            m.d.sync += row_sum.eq(new_sum)
        self._divide(
            m,
            row,
            buffer,
            row.register(new_sum, "sum"),
            row.register(maximum, "maximum"),
            row.register(last[:-1], "count"),
        )

    def _divide(
        self,
        m: Module,
        row: Stage,
        buffer: RowBuffer,
        row_sum: Value,
        maximum: Value,
        count: Value,
    ) -> None:
        """The buffered beats of the row whose sum is known, divided."""
        place, upper = Signal(range(self.longest_row.bit_length())), Signal()
        for k in range(self.longest_row.bit_length()):
            with m.If(row_sum[SUM_FRACTION_BITS + k]):
                m.d.comb += place.eq(k), upper.eq(row_sum[SUM_FRACTION_BITS + k - 1])
        output = Stage(m, row.valid & buffer.filled, "output")
        output.leaves_when(self.output_ready)
        m.d.comb += buffer.pop.eq(output.take)
        end = self.lanes * EXPONENT_BITS
        last, then = buffer.pop_data[end], buffer.pop_data[end + 1 :]
        row.leaves_when(output.take & last)
        stored = output.registers(lanes_of(buffer.pop_data, self.lanes, EXPONENT_BITS), "exponent")
        base: Value = output.register(place, "place")
        if not self.known_maximum:
            below = output.register((maximum - then)[:CODE_BITS], "below")
            base = base + self._log2_exp(m, below, EXPONENT_BITS, "correction")
        base = named(m, saturated(m, base, EXPONENT_BITS, "base"), "base_saturated")
        upper = output.register(upper, "upper")
        m.d.comb += [
            self.output_valid.eq(output.valid),
            self.output_data.eq(
                Cat(
                    self._quotient(m, saturated(m, code + base, EXPONENT_BITS, f"k_{lane}"), upper)
                    for lane, code in enumerate(stored)
                )
            ),
            self.output_count.eq(
                output.register(Mux(last, count, self.lanes - 1)[: len(count)], "count")
            ),
            self.output_last.eq(output.register(last, "last")),
        ]

    def _quotient(self, m: Module, exponent: Value, upper: Value) -> Value:
        """One lane's result, for an exponent saturated at 15."""
        if self.output_bits == EXPONENT_BITS:
            return Mux(exponent.all(), exponent, exponent + upper)[:EXPONENT_BITS]
        result = Signal(self.output_bits)
        with m.Switch(Cat(exponent, upper)):
            for half, quotient in enumerate(self.quotients):
                for places in range(quotient.bit_length() + 1):
                    with m.Case(half << EXPONENT_BITS | places):
                        m.d.comb += result.eq((quotient + (1 << places >> 1)) >> places)
        return result


def _sums_of_powers(m: Module, terms: list[Value]) -> list[Value]:
    """Sums of pairs of powers of two, or zeros: without carries, as only equal ones meet."""
    pairs = [
        named(m, (a ^ b) | ((a & b) << 1), f"pair_{index}")
        for index, (a, b) in enumerate(zip(terms[::2], terms[1::2], strict=False))
    ]
    return pairs + terms[len(terms) - len(terms) % 2 :]
