"""PTQ4ViT (Yuan et al., ECCV 2022, arXiv 2111.12293)."""

from __future__ import annotations

from fullint.recipes.common import INTEGER_NOTE, activations
from fullint.recipes.registry import register
from fullint.recipes.schema import Recipe, TwinConfig, UniformConfig
from fullint.recipes.steps import SearchConfig

NOTES = f"""\
Faithful: symmetric uniform grids, activations a tensor, twin uniform attention maps and GELU
outputs, 100 candidates from 0.01 to 1.2 times the range in three alternating rounds, errors
weighted by squared gradients. Corrected: the published gradients are rounding noise of a loss that
is exactly zero; these are of sampled labels (the Fisher information). In the published code a value
above the split of an attention map has the split added; here a value takes the nearest level of
either half. Changed: behind a GELU, too, the two halves differ by a power of two, which is searched
with the step (published: the negative step is fixed by GELU's minimum); later rounds search around
the range of the round before (published: the largest value); the search sees a sample of tokens of
32 images; weights have a scale an output channel (published: one for each of query, key and value;
one elsewhere).
{INTEGER_NOTE}"""

register(
    Recipe(
        name="ptq4vit",
        summary="twin uniform grids, search weighted by squared gradients",
        paper="https://arxiv.org/abs/2111.12293",
        weights=UniformConfig(symmetric=True, strategy="channel"),
        activations=activations(
            UniformConfig(symmetric=True),
            attention_map=TwinConfig(),
            activation=TwinConfig(),
        ),
        search=(SearchConfig(metric="fisher", low=0.01, high=1.2, count=100, rounds=3),),
        notes=NOTES,
    )
)
