"""The unit of the operation `ailayernorm`, complete: statistics, 1/sqrt, affine stage."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from fullint.hardware.pipeline import (
    Stage,
    carry_save,
    fast_sum,
    named,
    product_parts,
    saturated,
)
from fullint.hardware.units.layer_norm_frame import CODE_BITS, LayerNormFrame
from fullint.integer import fixed_point
from fullint.integer.ops.ailayernorm import (
    BIAS_LIMIT,
    LARGEST_SHIFT,
    MEAN_FRACTION_BITS,
    MULTIPLIER_LIMIT,
    NORMALISED_LIMIT,
    ROOT_TABLE,
    fraction_bits,
)

MEAN_BITS = 15


class AILayerNorm(LayerNormFrame):
    """LayerNorm with compressed squares; see `LayerNormFrame` for its streams."""

    multiplier_bits = MULTIPLIER_LIMIT.bit_length()
    bias_bits = BIAS_LIMIT.bit_length()
    epsilon_bits = 30
    mantissa_bits = 8
    normalised_bits = NORMALISED_LIMIT.bit_length()
    settings: ClassVar[dict[str, int]] = {"shift": LARGEST_SHIFT.bit_length()}

    def __init__(
        self, *, lanes: int, channels: int, ranges: int = 2, low: int = 0, high: int = 255
    ) -> None:
        self.ranges = ranges
        super().__init__(lanes=lanes, channels=channels, low=low, high=high)

    def prepared(self, m: Module, centred: Value, name: str) -> Value:
        """The square of the compressed magnitude, and its range."""
        magnitude = named(m, Mux(centred < 0, -centred, centred)[:CODE_BITS], f"size_{name}")
        root, ranges = self._compress(m, magnitude, name)
        square = Signal(CODE_BITS, name=f"square_{name}")
        with m.Switch(root):
            for entry in range(16):
                with m.Case(entry):
                    m.d.comb += square.eq(entry * entry)
        return Cat(square, ranges)

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

    def square(self, m: Module, prepared: Value, name: str) -> Value:
        """In units of 16 with two ranges."""
        scaled: Value = prepared[:CODE_BITS]
        for index, chosen in enumerate(prepared[CODE_BITS:]):
            shifted = prepared[:CODE_BITS] << 4 * (index + 1)
            scaled = named(m, Mux(chosen, shifted, scaled), f"s_{index}_{name}")
        return scaled

    def root(
        self, m: Module, row: Stage, total: Value, squares: Value
    ) -> tuple[Stage, Value, Value, Value]:
        """Division by C, the variance, then a table of its highest bits."""
        moments, mean, second = self._moments(m, row, total, squares)
        parts = moments.followed_by("mean_parts")
        products = parts.registers(product_parts(mean, mean, 5), "product")
        mean, second = parts.register(mean, "mean"), parts.register(second, "second")
        square = parts.followed_by("mean_square")
        bits = len(second) + 1
        pair = carry_save(m, products, bits, "mean_square_terms")
        mean_square = square.register(fast_sum(m, pair[0], pair[1], bits, "mean_square_sum"), "sum")
        mean, second = square.register(mean, "mean"), square.register(second, "second")
        variance = square.followed_by("variance")
        difference = fast_sum(m, second, ~mean_square, bits, "difference", carry_in=1)
        difference = variance.register(difference, "difference")
        mean = variance.register(mean, "mean")
        scale = variance.followed_by("scale")
        positive = Mux(difference[-1], 0, difference[:-1])
        value = fast_sum(m, positive, self.epsilon, bits, "variance_and_epsilon")
        value, mean = scale.register(value, "variance"), scale.register(mean, "mean")
        token = scale.followed_by("token")
        mantissa, places = _reciprocal_root(m, value)
        return (
            token,
            token.register(mean, "mean"),
            token.register(mantissa, "mantissa"),
            token.register(places, "places"),
        )

    def _moments(
        self, m: Module, row: Stage, total: Value, squares: Value
    ) -> tuple[Stage, Value, Value]:
        """Stage that holds the means of values and of squares: their sums times 1/C, rounded."""
        mantissa, exponent = (int(part) for part in fixed_point.reciprocal(np.array(self.channels)))
        unit_bits = 4 if self.ranges == 2 else 0
        products = row.followed_by("products")
        moments = products.followed_by("moments")
        found = []
        for value, cut, name in (
            (total, exponent - MEAN_FRACTION_BITS, "mean"),
            (squares, exponent - 2 * MEAN_FRACTION_BITS - unit_bits, "second"),
        ):
            terms = [value << bit for bit in range(mantissa.bit_length()) if mantissa >> bit & 1]
            bits = len(value) + mantissa.bit_length()
            pair = carry_save(m, [*terms, Const(1 << cut >> 1)], bits, f"{name}_terms")
            first, second = products.registers(pair, name)
            product = fast_sum(m, first, second, bits, f"{name}_product")
            found.append(moments.register(product[cut:], name))
        mean, second = found
        return moments, mean[:MEAN_BITS].as_signed(), second

    def centred(self, value: Value, mean: Value) -> Value:
        """With the fraction bits of the mean."""
        return ((value << MEAN_FRACTION_BITS) - mean)[:MEAN_BITS].as_signed()

    def shifts(self, parameters: Stage, affine: Stage) -> list[Value]:
        """One for all lanes."""
        return [self.shift] * self.lanes

    @property
    def left(self) -> int:
        """The places start two below the fraction bits."""
        return fraction_bits(self.channels) - 2


def _reciprocal_root(m: Module, value: Value) -> tuple[Value, Value]:
    """Entry of the table, and by how many pairs of bits the variance was shifted to find it."""
    doubled = named(m, value << 1, "doubled_variance")
    pairs = -(-(len(doubled) - 5) // 2)
    index, places = Signal(7), Signal(range(pairs))
    # The highest pair of bits that holds a one leads the index; a later If overrides.
    for pair in range(pairs):
        with m.If(doubled[2 * pair + 5 : 2 * pair + 7].any()):
            m.d.comb += index.eq(doubled >> 2 * pair), places.eq(pair)
    mantissa = Signal(CODE_BITS, name="root_entry")
    with m.Switch(index):
        for entry, found in enumerate(ROOT_TABLE.tolist()):
            with m.Case(32 + entry):
                m.d.comb += mantissa.eq(found)
    return mantissa, places
