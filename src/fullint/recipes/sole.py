"""SOLE: softmax and LayerNorm for hardware (Wang et al., ICCAD 2023, arXiv 2510.17189)."""

from __future__ import annotations

from fullint.recipes.choices import POWERS_OF_TWO, WIDE_BRANCH
from fullint.recipes.operations import AILayerNorm, E2Softmax
from fullint.recipes.registry import register
from fullint.recipes.schema import Recipe, SoftmaxConfig, UniformConfig

NOTES = """\
Faithful: quantization as in FQ-ViT at 8 bits (its table's INT8 rows), softmax by E2Softmax with
published quotients and 8-bit results, LayerNorm by AILayerNorm on 8-bit codes with a power of two a
channel; GELU, which the paper leaves alone, is exact. Decided, as the paper does not say: scores
enter as accumulators, in whole octaves (their scale and log2(e) are one factor), 16 at a time;
squares have a third range for small codes; a dozen more in the operations' own documentation. As
FQ-ViT's recipe otherwise: GELU reads 12-bit codes, logits keep 16.
"""

_EVERYWHERE = UniformConfig(num_bits=8)

register(
    Recipe(
        name="sole",
        summary="softmax by shifts, LayerNorm with 4-bit squares; quantized as FQ-ViT",
        paper="https://arxiv.org/abs/2510.17189",
        weights=UniformConfig(num_bits=8, symmetric=True, strategy="channel"),
        activations={
            "normalized": _EVERYWHERE,
            "query_key_value": _EVERYWHERE,
            "attention_map": SoftmaxConfig(),
            "attention_output": _EVERYWHERE,
            "activation_input": UniformConfig(num_bits=12),
            "activation": _EVERYWHERE,
            "residual_branch": WIDE_BRANCH,
            "residual": POWERS_OF_TWO,
            "pooled": _EVERYWHERE,
            "logits": UniformConfig(num_bits=16, symmetric=True, headroom=2.0),
        },
        softmax=E2Softmax(),
        layer_norm=AILayerNorm(),
        notes=NOTES,
    )
)
