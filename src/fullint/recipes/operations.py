"""Which integer softmax, LayerNorm and GELU a recipe takes, as declarations. What each computes is
in `fullint.integer.ops`, in the file of the same name; docs/nonlinearities.md compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fullint.recipes.declaration import Declaration


class ExactSoftmax(Declaration):
    """The real softmax, rounded once onto whatever grid the attention map has: log-int-softmax for
    log2 codes, exponentials for shares of a row's maximum, else uint8 or a table.
    """

    attention_maps: ClassVar[tuple[str, ...]] = ()
    type: Literal["exact"] = "exact"


class Shiftmax(Declaration):
    """I-ViT's softmax. Published: fraction_bits=3, octaves=15, natural=True, rounding=False."""

    attention_maps: ClassVar[tuple[str, ...]] = ("unit",)
    type: Literal["shiftmax"] = "shiftmax"
    fraction_bits: int = Field(default=4, ge=0, le=10)
    octaves: int = Field(default=12, ge=1, le=20)
    natural: bool = False
    rounding: bool = True


class E2Softmax(Declaration):
    """SOLE's softmax, `group` scores at a time. Published: fraction_bits=3 or so (it does not say),
    natural=True, group=1, quotients="published".

    Scores without a grid of their own are taken from -128 to 127 steps of 2^-fraction_bits octaves,
    with whole octaves from -89 to 88 nats; scores beyond are cut off.
    """

    attention_maps: ClassVar[tuple[str, ...]] = ("unit", "log2")
    type: Literal["e2softmax"] = "e2softmax"
    fraction_bits: int = Field(default=0, ge=0, le=5)
    natural: bool = False
    group: int = Field(default=16, ge=1)
    quotients: Literal["published", "least_error"] = "published"


class Itamax(Declaration):
    """ITA's softmax, `group` scores at a time. Published: fraction_bits=5, group=16,
    rounding=False, for scores that training has brought into 8 octaves.
    """

    attention_maps: ClassVar[tuple[str, ...]] = ("unit",)
    type: Literal["itamax"] = "itamax"
    fraction_bits: int = Field(default=0, ge=0, le=5)
    group: int = Field(default=16, ge=1)
    rounding: bool = True


class ExactLayerNorm(Declaration):
    """Exact statistics and a root to 15 bits (after FQ-ViT)."""

    type: Literal["exact"] = "exact"


class ILayerNorm(Declaration):
    """I-ViT's LayerNorm. Published: fraction_bits=0, start_bits=16, iterations=10.

    fraction_bits is an upper limit, for a width at which sums fit 32 bits.
    """

    type: Literal["i-layernorm"] = "i-layernorm"
    fraction_bits: int = Field(default=4, ge=0, le=8)
    start_bits: int = Field(default=0, ge=0, le=30)
    iterations: int = Field(default=4, ge=1, le=32)


class AILayerNorm(Declaration):
    """SOLE's LayerNorm, of 8-bit codes. Published: ranges=2."""

    type: Literal["ailayernorm"] = "ailayernorm"
    ranges: Literal[2, 3] = 3


class TableGelu(Declaration):
    """One entry for each input code; exact, as for every other activation function."""

    type: Literal["table"] = "table"


class ShiftGelu(Declaration):
    """I-ViT's GELU, x sigmoid(slope x). Published: slope=1.702, fraction_bits=4 or so, octaves=23,
    natural=True, rounding=False, row_maximum=True, gate_bits=7.

    1.702 is for the real sigmoid. One of straight lines is off to one side; 1.8 makes up for it.
    """

    type: Literal["shiftgelu"] = "shiftgelu"
    slope: float = Field(default=1.8, ge=1.0, le=3.0)
    fraction_bits: int = Field(default=5, ge=0, le=10)
    octaves: int = Field(default=10, ge=1, le=24)
    natural: bool = False
    rounding: bool = True
    row_maximum: bool = False
    gate_bits: int = Field(default=8, ge=4, le=15)


class IBertGelu(Declaration):
    """I-BERT's GELU."""

    type: Literal["ibert"] = "ibert"


SoftmaxOperation = Annotated[
    ExactSoftmax | Shiftmax | E2Softmax | Itamax, Field(discriminator="type")
]
LayerNormOperation = Annotated[
    ExactLayerNorm | ILayerNorm | AILayerNorm, Field(discriminator="type")
]
GeluOperation = Annotated[TableGelu | ShiftGelu | IBertGelu, Field(discriminator="type")]


def check_operations(
    softmax: SoftmaxOperation,
    layer_norm: LayerNormOperation,
    gelu: GeluOperation,
    grids: Mapping[str, tuple[str, int]],
) -> None:
    """ValueError unless the operations can read and write the recipe's grids, given by role: type
    and number of bits.
    """
    map_type, map_bits = grids.get("attention_map", ("", 0))
    if softmax.attention_maps and map_type not in softmax.attention_maps:
        allowed = " or ".join(map(repr, softmax.attention_maps))
        raise ValueError(
            f"softmax '{softmax.type}' gives type {allowed}; 'attention_map' is '{map_type}'"
        )
    if isinstance(softmax, E2Softmax | Itamax) and map_bits > 8:
        raise ValueError(f"softmax '{softmax.type}' gives 8 bits, 'attention_map' has {map_bits}")
    if isinstance(layer_norm, AILayerNorm):
        for role in ("residual", "normalized"):
            grid_type, bits = grids.get(role, ("", 0))
            if grid_type != "uniform" or bits > 8:
                raise ValueError(
                    "layer_norm 'ailayernorm' reads and gives 8-bit codes; give "
                    f"'{role}' a uniform grid of at most 8 bits"
                )
    if not isinstance(gelu, TableGelu) and grids.get("activation", ("", 0))[0] != "uniform":
        raise ValueError(f"gelu '{gelu.type}' gives evenly spaced codes; 'activation' has others")
