"""The unit of the operation `ailayernorm`, complete: statistics, 1/sqrt, affine stage."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from fullint.hardware.pipeline import Stage, named, saturated, tree_sum
from fullint.hardware.units.layer_norm_frame import (
    CHANNEL_SHIFT_BITS,
    CODE_BITS,
    LayerNormFrame,
)
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
    normalised_limit = NORMALISED_LIMIT
    settings: ClassVar[dict[str, int]] = {"shift": LARGEST_SHIFT.bit_length()}

    def __init__(
        self, *, lanes: int, channels: int, ranges: int = 2, low: int = 0, high: int = 255
    ) -> None:
        self.ranges = ranges
        super().__init__(lanes=lanes, channels=channels, low=low, high=high)

    def prepared(self, m: Module, centred: Value, shift: Value, name: str) -> Value:
        """The compressed magnitude, its range and the channel's shift."""
        magnitude = named(m, Mux(centred < 0, -centred, centred)[:CODE_BITS], f"size_{name}")
        return Cat(*self._compress(m, magnitude, name), shift)

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

    def square(self, m: Module, value: Value, prepared: Value, name: str) -> Value:
        """Compressed square, in units of 16 with two ranges, shifted by the channel's shift."""
        square = Signal(8, name=f"square_{name}")
        with m.Switch(prepared[:4]):
            for root in range(16):
                with m.Case(root):
                    m.d.comb += square.eq(root * root)
        ranges, shift = prepared[4:-CHANNEL_SHIFT_BITS], prepared[-CHANNEL_SHIFT_BITS:]
        scaled: Value = square
        for index, chosen in enumerate(ranges):
            scaled = named(m, Mux(chosen, square << 4 * (index + 1), scaled), f"s_{index}_{name}")
        return scaled << Cat(Const(0, 1), shift)

    def root(
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

    def centred(self, value: Value, mean: Value) -> Value:
        """With the fraction bits of the mean."""
        return ((value << MEAN_FRACTION_BITS) - mean)[:MEAN_BITS].as_signed()

    def shifts(self, affine: Stage) -> list[Value]:
        """One for all lanes."""
        return [self.shift] * self.lanes

    @property
    def left(self) -> int:
        """The places start two below the fraction bits."""
        return fraction_bits(self.channels) - 2


def _product_parts(value: Value, factor: int, bits: int) -> list[Value]:
    """Four or fewer numbers whose sum is value * factor + 2^bits / 2, by shifted additions."""
    terms = [value << bit for bit in range(factor.bit_length()) if factor >> bit & 1]
    terms.append(Const(1 << bits >> 1))
    return [tree_sum(terms[first::4]) for first in range(min(4, len(terms)))]
