"""The buffer that holds a row while its statistics are still being gathered."""

from __future__ import annotations

import functools
import operator

from amaranth.hdl import Cat, Elaboratable, Module, Signal


class RowBuffer(Elaboratable):
    """A first-in first-out queue of beats, read without delay, in registers.

    A row's beats leave while the next row's enter, so one row's depth carries rows back to back.
    Both addresses are one-hot rings: an AND and an OR a bit are smaller than a multiplexer tree.
    Its area is reported apart from the units', which see it only through these signals.

    Attributes:
        push, push_data, space: a beat enters where push and space are both high.
        pop, pop_data, filled: the oldest beat, removed where pop and filled are both high.
    """

    def __init__(self, width: int, depth: int) -> None:
        self.width, self.depth = width, depth
        self.push = Signal()
        self.push_data = Signal(width)
        self.space = Signal()
        self.pop = Signal()
        self.pop_data = Signal(width)
        self.filled = Signal()

    def elaborate(self, platform: object) -> Module:
        """The words, the two rings and the number of beats inside."""
        m = Module()
        level = Signal(range(self.depth + 1))
        enters, leaves = Signal(), Signal()
        write, read = (Signal(self.depth, init=1, name=name) for name in ("write", "read"))
        m.d.comb += [
            self.space.eq(level != self.depth),
            self.filled.eq(level != 0),
            enters.eq(self.push & self.space),
            leaves.eq(self.pop & self.filled),
        ]
        with m.If(enters != leaves):
            m.d.sync += level.eq(level + enters - leaves)
        for moves, ring in ((enters, write), (leaves, read)):
            with m.If(moves):
                m.d.sync += ring.eq(Cat(ring[-1], ring[:-1]))
        chosen = []
        for index in range(self.depth):
            word = Signal(self.width, name=f"word_{index}", reset_less=True)
            with m.If(enters & write[index]):
                m.d.sync += word.eq(self.push_data)
            chosen.append(word & read[index].replicate(self.width))
        m.d.comb += self.pop_data.eq(functools.reduce(operator.or_, chosen))
        return m
