"""The default: the most accurate 8-bit result from parts that cost no speed."""

from __future__ import annotations

from fullint.recipes.registry import register
from fullint.recipes.schema import Recipe, RowRelativeConfig, SharedConfig, UniformConfig

_STREAM = UniformConfig(
    num_bits=16, symmetric=True, power_of_two_scale=True, headroom=1.5
)
_ACTIVATION = UniformConfig(num_bits=8, observer="mse")

register(
    Recipe(
        name="default",
        summary="8-bit weights and activations, 16-bit residual stream, row-relative 8-bit attention",
        weights=UniformConfig(num_bits=8, symmetric=True, strategy="channel", observer="mse"),
        activations={
            "normalized": _ACTIVATION,
            "query_key_value": UniformConfig(num_bits=8, symmetric=True, strategy="head", observer="mse"),
            "attention_map": RowRelativeConfig(),
            "attention_output": _ACTIVATION,
            "activation_input": _ACTIVATION,
            "activation": _ACTIVATION,
            "residual_branch": SharedConfig(),
            "residual": _STREAM,
            "pooled": _ACTIVATION,
            "logits": UniformConfig(num_bits=16, symmetric=True, headroom=2.0),
        },
    )
)
