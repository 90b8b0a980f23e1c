"""The highest accuracy at each bit width, from the parts of all methods."""

from __future__ import annotations

from fullint.recipes.common import activations
from fullint.recipes.registry import register
from fullint.recipes.schema import AdaLogConfig, Recipe, UniformConfig
from fullint.recipes.steps import (
    GPTQConfig,
    HeadRotationConfig,
    LayerNormEqualizationConfig,
    StreamRotationConfig,
)

NOTES = """\
Our own. The residual stream and the heads are rotated, exactly, so that no channel stands out
(LayerNorm commutes with rotations that keep the vector of ones); what is left of differences
between LayerNorm's channels is balanced against the weights. Uniform asymmetric grids, a scale a
head for query, key and value, logarithms of a searched base for attention maps and GELU outputs.
Weights are rounded by GPTQ with a searched range, layer after layer on the inputs that the rounded
layers before give, so that each makes up for what those have left.
"""

register(
    Recipe(
        name="best",
        summary="rotations, balanced LayerNorm outputs, AdaLog attention and GELU, GPTQ",
        weights=UniformConfig(strategy="channel", observer="mse"),
        transforms=(StreamRotationConfig(), LayerNormEqualizationConfig(), HeadRotationConfig()),
        activations=activations(
            UniformConfig(observer="mse"),
            query_key_value=UniformConfig(symmetric=True, strategy="head", observer="mse"),
            attention_map=AdaLogConfig(num_bits=8, strategy="head"),
            activation=AdaLogConfig(num_bits=8),
        ),
        corrections=(GPTQConfig(inputs="quantized", range_search=True),),
        notes=NOTES,
    )
)
