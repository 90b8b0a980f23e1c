"""The unit of the operation `layer_norm` on 8-bit codes: exact statistics, 15-bit arithmetic."""

from __future__ import annotations

from typing import ClassVar

from amaranth.hdl import Module, Mux, Signal, Value

from fullint.hardware.pipeline import Stage, lanes_of, named
from fullint.hardware.units.layer_norm_frame import CODE_BITS, LayerNormFrame
from fullint.integer.fixed_point import MULTIPLIER_BITS, fraction_bits_for_normalised

# The root takes the variance times 4^15, so that its leading pair of bits is one of 30 and 31.
PLACES_BELOW = 15


class LayerNorm(LayerNormFrame):
    """Exact LayerNorm; see `LayerNormFrame` for its streams.

    The square root is found a bit a cycle, in 15 cycles a token.
    """

    multiplier_bits = 16
    bias_bits = 32
    epsilon_bits = 40
    mantissa_bits = MULTIPLIER_BITS
    normalised_bits = MULTIPLIER_BITS
    parameter_fields: ClassVar[dict[str, int]] = {"shift": 5}

    def prepared(self, m: Module, centred: Value, name: str) -> Value:
        """The exact square."""
        size = named(m, Mux(centred < 0, -centred, centred)[:CODE_BITS], f"size_{name}")
        return size * size

    def square(self, m: Module, prepared: Value, name: str) -> Value:
        """As prepared."""
        return prepared

    def root(
        self, m: Module, row: Stage, total: Value, squares: Value
    ) -> tuple[Stage, Value, Value, Value]:
        """1 / sqrt(C sum v^2 - (sum v)^2 + epsilon), as `fixed_point.reciprocal_square_root`."""
        products = Stage(m, row.valid, "products")
        row.leaves_when(products.ready)
        second = products.register(squares * self.channels, "second")
        size = named(m, Mux(total < 0, -total, total)[: len(total) - 1], "total_size")
        first = products.register(size * size, "first")
        total = products.register(total, "total")
        scale = Stage(m, products.valid, "scale")
        products.leaves_when(scale.ready)
        value = scale.register((second - first)[: len(second)] + self.epsilon, "variance")
        total = scale.register(total, "total")
        search = Stage(m, scale.valid, "search")
        scale.leaves_when(search.ready)
        raised = named(m, value << 2 * PLACES_BELOW, "raised_variance")
        pairs = -(-(len(raised) - 30) // 2)
        normalised, places = Signal(32), Signal(range(pairs))
        for pair in range(pairs):
            with m.If(raised[2 * pair + 30 : 2 * pair + 32].any()):
                m.d.comb += normalised.eq(raised >> 2 * pair), places.eq(pair)
        number = search.register(normalised, "number")
        places, total = search.register(places, "places"), search.register(total, "total")
        mantissa, found = self._search(m, search, number)
        token = Stage(m, search.valid & found, "token")
        search.leaves_when(token.ready & found)
        return (
            token,
            token.register(total, "total"),
            token.register(mantissa, "mantissa"),
            token.register(places, "places"),
        )

    def _search(self, m: Module, search: Stage, number: Value) -> tuple[Value, Value]:
        """The largest 15-bit t with t^2 number <= 2^60, a bit a cycle, and whether it is found.

        With k bits to come, `rest` is (2^60 - t^2 number) / 4^k and `product` t number / 2^k.
        """
        bits = MULTIPLIER_BITS
        rest, product = Signal(54), Signal(50)
        t, step = Signal(bits), Signal(range(bits + 1))
        tried = named(m, (product << 1) + number, "tried")
        fits = named(m, tried <= rest, "fits")
        with m.If(search.take):
            m.d.sync += [rest.eq(1 << 60 - 2 * (bits - 1)), product.eq(0), t.eq(0), step.eq(0)]
        with m.Elif(step != bits):
            m.d.sync += [
                rest.eq(Mux(fits, rest - tried, rest) << 2),
                product.eq(Mux(fits, product + number, product) << 1),
                t.eq((t << 1) | fits),
                step.eq(step + 1),
            ]
        return t, step == bits

    def centred(self, value: Value, mean: Value) -> Value:
        """C v - sum v."""
        return value * self.channels - mean

    def shifts(self, parameters: Stage, affine: Stage) -> list[Value]:
        """A channel's own."""
        width = self.parameter_fields["shift"]
        ports = parameters.register(self.parameters_shift, "shift")
        return lanes_of(affine.register(ports, "shift"), self.lanes, width)

    @property
    def left(self) -> int:
        """As many as the normalised value has fraction bits."""
        return fraction_bits_for_normalised(self.channels)
