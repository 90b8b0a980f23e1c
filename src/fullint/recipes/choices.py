"""Recipes with another softmax, LayerNorm or GELU, chosen by name."""

from __future__ import annotations

import difflib
from typing import Any, get_args

from fullint.errors import FullintError
from fullint.recipes.declaration import Declaration
from fullint.recipes.operations import (
    AILayerNorm,
    E2Softmax,
    GeluOperation,
    Itamax,
    LayerNormOperation,
    SoftmaxOperation,
    TableGelu,
)
from fullint.recipes.schema import (
    Log2Config,
    QuantizerConfig,
    Recipe,
    Role,
    SoftmaxConfig,
    UniformConfig,
)

LOG_INT = "log-int"  # the exact softmax on log2 codes, by the name that FQ-ViT gave it
# What FQ-ViT and SOLE give a LayerNorm to read: 8 bits, a power of two a channel.
POWERS_OF_TWO = UniformConfig(num_bits=8, strategy="power_of_two_factor")
WIDE_BRANCH = UniformConfig(num_bits=16, symmetric=True, headroom=1.5)


def _by_name(union: Any) -> dict[str, type[Declaration]]:
    return {member.model_fields["type"].default: member for member in get_args(get_args(union)[0])}


SOFTMAXES = ("exact", LOG_INT, *list(_by_name(SoftmaxOperation))[1:])
LAYER_NORMS = tuple(_by_name(LayerNormOperation))
GELUS = tuple(_by_name(GeluOperation))


def with_operations(
    recipe: Recipe,
    softmax: str | None = None,
    layer_norm: str | None = None,
    gelu: str | None = None,
) -> Recipe:
    """The recipe with operations chosen by name (None: the recipe's own), which its name then says.

    Where a grid of the recipe is none that an operation can read or write, it gets the operation's
    own: the attention map uint8 (log2 codes for "log-int"), the residual stream 8 bits with powers
    of two a channel, the output of the GELU uniform codes.

    Raises:
        FullintError: an unknown name, with those there are.
    """
    for field, name, known in (
        ("softmax", softmax, SOFTMAXES),
        ("layernorm", layer_norm, LAYER_NORMS),
        ("gelu", gelu, GELUS),
    ):
        if name is not None and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise FullintError(f"unknown {field} '{name}'; {hint}there are {', '.join(known)}")
    updates: dict[str, object] = {}
    grids = dict(recipe.activations)
    if softmax is not None:
        operation = _by_name(SoftmaxOperation)["exact" if softmax == LOG_INT else softmax]()
        updates["softmax"] = operation
        grids["attention_map"] = _attention_map(softmax, operation, grids["attention_map"])
    if layer_norm is not None:
        updates["layer_norm"] = _by_name(LayerNormOperation)[layer_norm]()
        if isinstance(updates["layer_norm"], AILayerNorm) and not _is_narrow(grids.get("residual")):
            grids |= {"residual": POWERS_OF_TWO, "residual_branch": WIDE_BRANCH}
    if gelu is not None:
        updates["gelu"] = _by_name(GeluOperation)[gelu]()
        if not isinstance(updates["gelu"], TableGelu):
            _make_uniform(grids, "activation")
    names = [name for name in (softmax, layer_norm, gelu) if name is not None]
    updates |= {"name": "+".join([recipe.name, *names]), "activations": grids}
    return Recipe.model_validate(dict(recipe) | updates)


def operation_names(recipe: Recipe) -> dict[str, str]:
    """Softmax, LayerNorm and GELU of a recipe by the names that `with_operations` takes."""
    is_log_int = recipe.softmax.type == "exact" and isinstance(
        recipe.activations["attention_map"], Log2Config
    )
    return {
        "softmax": LOG_INT if is_log_int else recipe.softmax.type,
        "layernorm": recipe.layer_norm.type,
        "gelu": recipe.gelu.type,
    }


def _attention_map(name: str, operation: Declaration, present: QuantizerConfig) -> QuantizerConfig:
    """The present grid if the operation can give it, else the operation's own."""
    if name == LOG_INT:
        return present if isinstance(present, Log2Config) else Log2Config()
    allowed: tuple[str, ...] = getattr(operation, "attention_maps", ())
    too_wide = isinstance(operation, E2Softmax | Itamax) and getattr(present, "num_bits", 0) > 8
    return SoftmaxConfig() if allowed and (present.type not in allowed or too_wide) else present


def _is_narrow(grid: QuantizerConfig | None) -> bool:
    return isinstance(grid, UniformConfig) and grid.num_bits <= 8


def _make_uniform(grids: dict[Role, QuantizerConfig], role: Role) -> None:
    present = grids.get(role)
    if not isinstance(present, UniformConfig):
        grids[role] = UniformConfig(num_bits=getattr(present, "num_bits", 8))
