"""FQ-ViT: fully quantized vision transformers (Lin et al., IJCAI 2022, arXiv 2111.13824)."""

from __future__ import annotations

from typing import Literal

from fullint.recipes.registry import register
from fullint.recipes.schema import (
    Log2Config,
    QuantizerConfig,
    Recipe,
    SoftmaxConfig,
    UniformConfig,
)

OBSERVERS: tuple[Literal["minmax", "ema", "percentile", "omse"], ...] = (
    "minmax",
    "ema",
    "percentile",
    "omse",
)

NOTES = """\
Faithful: 8-bit weights a channel, 8-bit asymmetric activations a tensor into every matrix
product, power-of-two factors into every LayerNorm, 8-bit residual stream, 4-bit log2 or 8-bit
uniform attention map. Changed, because integers need it: GELU reads 12-bit codes through a table
(the published code leaves it in float); LayerNorm and softmax are integer from end to end; there
are sixteen attention codes, not seventeen. Changed, because integers do not need it: attention
scores go into the softmax as accumulators, a residual branch is rounded to 8 bits once, in the
sum, and class token and position embedding join the patch embedding's accumulators (the published
code rounds each of these to 8 bits first); logits keep 16 bits, so that classes do not tie.
Power-of-two factors and OMSE look at all calibration batches, not the last.
"""


def fq_vit(name: str, attention_map: QuantizerConfig, observer: str) -> Recipe:
    """The method with one of its attention maps and observers."""
    activation = UniformConfig(num_bits=8, observer=observer)
    stream = UniformConfig(num_bits=8, strategy="power_of_two_factor", observer=observer)
    return Recipe(
        name=name,
        summary=f"power-of-two factors for LayerNorm, integer softmax; ranges by {observer}",
        paper="https://arxiv.org/abs/2111.13824",
        weights=UniformConfig(num_bits=8, symmetric=True, strategy="channel"),
        activations={
            "normalized": activation,
            "query_key_value": activation,
            "attention_map": attention_map,
            "attention_output": activation,
            "activation_input": UniformConfig(num_bits=12),
            "activation": activation,
            "residual_branch": UniformConfig(num_bits=16, symmetric=True, headroom=1.5),
            "residual": stream,
            "pooled": activation,
            "logits": UniformConfig(num_bits=16, symmetric=True, headroom=2.0),
        },
        notes=NOTES,
    )


for _observer in OBSERVERS:
    _suffix = "" if _observer == "minmax" else f"-{_observer}"
    register(fq_vit(f"fq-vit{_suffix}", Log2Config(), _observer))
    register(fq_vit(f"fq-vit-888{_suffix}", SoftmaxConfig(), _observer))
