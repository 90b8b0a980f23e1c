"""The default: the most accurate 8-bit result from parts that cost no speed."""

from __future__ import annotations

from fullint.recipes.registry import register
from fullint.recipes.schema import Recipe, RowRelativeConfig, SharedConfig, UniformConfig
from fullint.recipes.steps import LayerNormEqualizationConfig

NOTES = """\
Our own. The residual stream keeps 16 bits on power-of-two scales, so that additions are plain
integer additions. LayerNorm's outputs are centred and balanced against the weights behind them,
exactly, before anything is rounded; their ranges are then taken whole. Attention reads the
accumulators of query times key without a grid of their own; its weights are 8-bit shares of each
row's maximum and are divided by the sum of their own codes. Query, key and value have a scale a
head. The codes in front of a GELU are placed where its output depends on them.
"""

_WHOLE_RANGE = UniformConfig(num_bits=8)
_LEAST_ERROR = UniformConfig(num_bits=8, observer="mse")

register(
    Recipe(
        name="default",
        summary="8 bits, 16-bit residual, balanced LayerNorm outputs, row-relative attention",
        weights=UniformConfig(num_bits=8, symmetric=True, strategy="channel", observer="mse"),
        transforms=(LayerNormEqualizationConfig(),),
        activations={
            "normalized": _WHOLE_RANGE,
            "query_key_value": UniformConfig(
                num_bits=8, symmetric=True, strategy="head", observer="mse"
            ),
            "attention_map": RowRelativeConfig(),
            "attention_output": _LEAST_ERROR,
            "activation_input": _LEAST_ERROR,
            "activation": _LEAST_ERROR,
            "residual_branch": SharedConfig(),
            "residual": UniformConfig(
                num_bits=16, symmetric=True, power_of_two_scale=True, headroom=1.5
            ),
            "pooled": _LEAST_ERROR,
            "logits": UniformConfig(num_bits=16, symmetric=True, headroom=2.0),
        },
        notes=NOTES,
    )
)
