"""I-ViT: integer-only inference by shifts (Li and Gu, ICCV 2023, arXiv 2207.01405)."""

from __future__ import annotations

from fullint.recipes.operations import ILayerNorm, ShiftGelu, Shiftmax
from fullint.recipes.registry import register
from fullint.recipes.schema import Recipe, SoftmaxConfig, UniformConfig

NOTES = """\
Faithful: symmetric 8-bit grids, weights a channel and activations a tensor by their largest values,
a 16-bit residual stream into LayerNorm, attention maps of 15 bits as in the published code,
Shiftmax, ShiftGELU, I-LayerNorm. Changed: no retraining, which the paper's accuracy rests on (30 to
90 epochs). Changed, at no cost, against worst cases: log2(e) and the scale of the scores are one
factor; weights and gates are rounded; the GELU's maximum is each element's own and its slope 1.8,
not 1.702; four finer bits of the mean, a root from its leading one (docs/nonlinearities.md has what
each is worth). Scores enter the softmax as accumulators.
"""

_SYMMETRIC = UniformConfig(num_bits=8, symmetric=True)
_STREAM = UniformConfig(num_bits=16, symmetric=True, headroom=1.5)

register(
    Recipe(
        name="i-vit",
        summary="softmax, GELU and LayerNorm by shifts and one division; symmetric 8-bit grids",
        paper="https://arxiv.org/abs/2207.01405",
        weights=UniformConfig(num_bits=8, symmetric=True, strategy="channel"),
        activations={
            "normalized": _SYMMETRIC,
            "query_key_value": _SYMMETRIC,
            "attention_map": SoftmaxConfig(num_bits=15),
            "attention_output": _SYMMETRIC,
            "activation_input": _SYMMETRIC,
            "activation": _SYMMETRIC,
            "residual_branch": _STREAM,
            "residual": _STREAM,
            "pooled": _SYMMETRIC,
            "logits": UniformConfig(num_bits=16, symmetric=True, headroom=2.0),
        },
        softmax=Shiftmax(),
        layer_norm=ILayerNorm(),
        gelu=ShiftGelu(),
        notes=NOTES,
    )
)
