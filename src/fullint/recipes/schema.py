"""What a recipe is: a validated declaration of grids by role, and transforms; no algorithm.

Field names follow compressed-tensors where it has them (num_bits, symmetric, strategy, observer).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fullint.errors import FullintError
from fullint.recipes.declaration import Declaration
from fullint.recipes.operations import (
    ExactLayerNorm,
    ExactSoftmax,
    GeluOperation,
    LayerNormOperation,
    SoftmaxOperation,
    TableGelu,
    check_operations,
)
from fullint.recipes.steps import CorrectionConfig, SearchConfig, TransformConfig

Role = Literal[
    "normalized",
    "query_key_value",
    "attention_scores",
    "attention_map",
    "attention_output",
    "activation_input",
    "activation",
    "residual_branch",
    "residual",
    "pooled",
    "logits",
]


MATRIX_OPERANDS: tuple[Role, ...] = (
    "normalized",
    "query_key_value",
    "attention_map",
    "attention_output",
    "activation",
    "pooled",
)
LINEAR_INPUTS: tuple[Role, ...] = ("normalized", "attention_output", "activation")


class UniformConfig(Declaration):
    """Evenly spaced codes.

    strategy: "tensor" one scale; "channel" one an output channel, of weights only; "block" PTQ-SL's
    blocks of a weight, blocks[0] of the outputs times blocks[1] of the inputs; "operand" one each
    for query, key and value; "head" one for every head of them; "power_of_two_factor" FQ-ViT's PTF,
    one scale times 1, 2, 4 or 8 a channel; "token" FIMA-Q's scale and zero point for each token
    position of what linear layers read, in simulation only. Operands and heads have no zero points
    of their own: they take symmetric grids. Groups of channels: see scale_reparameterization.
    power_of_two_scale: round the scale up to a power of two. headroom: widen the observed range by
    this factor.
    """

    type: Literal["uniform"] = "uniform"
    num_bits: int = Field(default=8, ge=2, le=16)
    symmetric: bool = False
    strategy: Literal[
        "tensor", "channel", "block", "operand", "head", "power_of_two_factor", "token"
    ] = "tensor"
    blocks: tuple[int, int] = (1, 1)
    observer: str = "minmax"
    power_of_two_scale: bool = False
    headroom: float = Field(default=1.0, ge=1.0)

    @model_validator(mode="after")
    def _check_zero_point(self) -> UniformConfig:
        if self.strategy in ("block", "operand", "head") and not self.symmetric:
            raise ValueError(f"strategy '{self.strategy}' needs symmetric grids")
        return self


class Log2Config(Declaration):
    """Attention map as sixteen powers of two; `rounding` in 1/1024, see grids.Log2Grid."""

    type: Literal["log2"] = "log2"
    num_bits: Literal[4] = 4
    rounding: int = Field(default=512, ge=0, le=1023)


class RowRelativeConfig(Declaration):
    """Attention map as uint8 shares of each row's maximum."""

    type: Literal["row_relative"] = "row_relative"
    num_bits: Literal[8] = 8


class SoftmaxConfig(Declaration):
    """Attention map as unsigned codes from 0 to 1: uint8 in steps of 1/255."""

    type: Literal["unit"] = "unit"
    num_bits: int = Field(default=8, ge=8, le=15)


class LogSqrt2Config(Declaration):
    """Attention map as powers of the root of two, down from a largest value (RepQ-ViT)."""

    type: Literal["log_sqrt2"] = "log_sqrt2"
    num_bits: int = Field(default=4, ge=2, le=8)


class AdaLogConfig(Declaration):
    """Powers of a base that is searched, down from a largest value (AdaLog, arXiv 2407.12951):
    attention map, or the output of an activation function, shifted to be positive.

    strategy "head": a base for every head of an attention map.
    """

    type: Literal["adalog"] = "adalog"
    num_bits: int = Field(default=4, ge=2, le=8)
    strategy: Literal["tensor", "head"] = "tensor"


class TwinConfig(Declaration):
    """Two uniform halves whose steps differ by a power of two (PTQ4ViT, arXiv 2111.12293): near
    zero and up to one for an attention map, below and above zero behind an activation function.
    """

    type: Literal["twin"] = "twin"
    num_bits: int = Field(default=8, ge=3, le=8)


class ShiftUniformLog2Config(Declaration):
    """Attention map, shifted, in whole powers of two that are placed evenly over the shifted
    logarithm's range (I&S-ViT, arXiv 2311.10126).
    """

    type: Literal["shift_uniform_log2"] = "shift_uniform_log2"
    num_bits: int = Field(default=4, ge=2, le=8)


class TangentConfig(Declaration):
    """Attention map in steps that a tangent stretches: finest near one, finer near zero than
    between (DopQ-ViT, arXiv 2408.03291; its constants are unpublished, these are searched).
    """

    type: Literal["tangent"] = "tangent"
    num_bits: int = Field(default=4, ge=2, le=8)


class SharedConfig(Declaration):
    """The grid of the residual addition that consumes the tensor."""

    type: Literal["shared"] = "shared"


QuantizerConfig = Annotated[
    UniformConfig
    | Log2Config
    | RowRelativeConfig
    | SoftmaxConfig
    | LogSqrt2Config
    | AdaLogConfig
    | TwinConfig
    | ShiftUniformLog2Config
    | TangentConfig
    | SharedConfig,
    Field(discriminator="type"),
]
FIXED_BITS = Log2Config | RowRelativeConfig | SoftmaxConfig | SharedConfig
# Where the grids can be that are not for every role: their integers come from a softmax or a table.
_ROLES: dict[type[Declaration], tuple[Role, ...]] = {
    Log2Config: ("attention_map",),
    RowRelativeConfig: ("attention_map",),
    SoftmaxConfig: ("attention_map",),
    LogSqrt2Config: ("attention_map",),
    ShiftUniformLog2Config: ("attention_map",),
    TangentConfig: ("attention_map",),
    AdaLogConfig: ("attention_map", "activation"),
    TwinConfig: ("attention_map", "activation"),
}


class Recipe(Declaration):
    """A post-training quantization method.

    Attributes:
        name, summary, paper: for people.
        weights: grid of every weight.
        activations: grid by role; a role that is absent keeps its integer accumulators.
        transforms: exact rewrites of the float graph, applied first, in order.
        search: rounds that refine the grids.
        corrections: changes of weights and biases that make up for rounding, applied last, in
            order.
        softmax, layer_norm, gelu: the integer operations for them.
        requantization: "fast" 16-bit multipliers, or "exact" real arithmetic rounded once.
        simulation_only: why the recipe has no integer program; empty if it has.
        notes: what is faithful to the paper, what was changed, and why.
    """

    name: str
    summary: str
    paper: str = ""
    weights: UniformConfig
    activations: dict[Role, QuantizerConfig]
    transforms: tuple[TransformConfig, ...] = ()
    search: tuple[SearchConfig, ...] = ()
    corrections: tuple[CorrectionConfig, ...] = ()
    softmax: SoftmaxOperation = ExactSoftmax()
    layer_norm: LayerNormOperation = ExactLayerNorm()
    gelu: GeluOperation = TableGelu()
    requantization: Literal["fast", "exact"] = "fast"
    simulation_only: str = ""
    notes: str = ""

    @model_validator(mode="after")
    def _check_grids(self) -> Recipe:
        if self.weights.strategy not in ("tensor", "channel", "block"):
            raise ValueError("weights take grids a tensor, a channel or a block")
        for role, config in self.activations.items():
            _check_role(role, config)
        for role in ("normalized", "attention_map"):
            if isinstance(self.activations.get(role, SharedConfig()), SharedConfig):
                raise ValueError(f"'{role}' needs a grid of its own")
        self._check_tokens()
        kinds: dict[str, tuple[str, int]] = {
            role: (config.type, getattr(config, "num_bits", 0))
            for role, config in self.activations.items()
        }
        check_operations(self.softmax, self.layer_norm, self.gelu, kinds)
        return self

    def _check_tokens(self) -> None:
        """Scales of token positions neither lower nor follow a search's samples of tokens."""
        if not any(
            isinstance(config, UniformConfig) and config.strategy == "token"
            for config in self.activations.values()
        ):
            return
        if not self.simulation_only:
            raise ValueError(
                "strategy 'token' has no integer program: a layer that reads it would need a "
                "multiplier and a bias for every token and output; say so in 'simulation_only'"
            )
        if self.search:
            raise ValueError("strategy 'token' cannot be searched; leave out 'search'")

    def require_program(self) -> None:
        """Raises FullintError where the recipe is a simulation only."""
        if self.simulation_only:
            raise FullintError(
                f"recipe '{self.name}' has no integer program: {self.simulation_only}; "
                "'fullint compare' measures its simulation"
            )

    @property
    def bits(self) -> dict[str, int]:
        """Bits of weights, activations and attention map."""
        return {
            "weights": self.weights.num_bits,
            "activations": self._bits_of("normalized"),
            "attention": self._bits_of("attention_map"),
        }

    def _bits_of(self, role: Role) -> int:
        config = self.activations[role]
        assert not isinstance(config, SharedConfig)
        return config.num_bits

    def with_bits(self, bits: str) -> Recipe:
        """The same method at other bit widths, written as "w4a8".

        Changes the weights and what enters matrix products (3 to 8 bits each). Attention maps whose
        number of bits belongs to their grid, the codes in front of an activation function, the
        residual stream and the logits stay.

        Raises:
            FullintError: not of this form, or out of range.
        """
        match = re.fullmatch(r"w([3-8])a([3-8])", bits)
        if match is None:
            raise FullintError(f"bits {bits!r} are not of the form w8a8, from 3 to 8 each")
        weight_bits, activation_bits = (int(group) for group in match.groups())
        activations = {
            role: config.model_copy(update={"num_bits": activation_bits})
            if role in MATRIX_OPERANDS and not isinstance(config, FIXED_BITS)
            else config
            for role, config in self.activations.items()
        }
        weights = self.weights.model_copy(update={"num_bits": weight_bits})
        return self.model_copy(update={"weights": weights, "activations": activations})


def _check_role(role: Role, config: QuantizerConfig) -> None:
    """Refuse a grid or a strategy that is not for this role."""
    roles = _ROLES.get(type(config), (role,))
    if role not in roles:
        raise ValueError(
            f"'{role}' cannot have a grid of type '{config.type}', which is for "
            f"{' and '.join(map(repr, roles))} only"
        )
    if isinstance(config, UniformConfig):
        if config.strategy in ("channel", "block"):
            raise ValueError(f"'{role}' cannot have strategy '{config.strategy}'; weights only")
        if config.strategy == "token" and role not in LINEAR_INPUTS:
            raise ValueError(
                f"'{role}' cannot have strategy 'token', which is for "
                f"{', '.join(map(repr, LINEAR_INPUTS))}"
            )
        if config.strategy in ("operand", "head") and role != "query_key_value":
            raise ValueError(
                f"'{role}' cannot have strategy '{config.strategy}', which is for uniform grids of "
                "'query_key_value' only"
            )
    elif isinstance(config, AdaLogConfig) and config.strategy == "head" and role != "attention_map":
        raise ValueError(f"'{role}' cannot have strategy 'head', which is for 'attention_map' only")
