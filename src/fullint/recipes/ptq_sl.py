"""PTQ-SL (Yuan et al., arXiv 2110.07809)."""

from __future__ import annotations

from fullint.recipes.common import INTEGER_NOTE, activations
from fullint.recipes.registry import register
from fullint.recipes.schema import Recipe, UniformConfig
from fullint.recipes.steps import ChannelPermutationConfig, SearchConfig

NOTES = f"""\
Faithful: a scale for each block of a weight, channels reordered so that those of one block are
alike, search by cosine similarity, one block of columns after the other. Changed: channels are
sorted by range, which is where the paper's evolutionary search starts, in the residual stream and
between the layers of an MLP (heads and a stream through patch merging keep their order);
activations have one scale a tensor.
{INTEGER_NOTE}"""

register(
    Recipe(
        name="ptq-sl",
        summary="a scale for each block of a weight, channels sorted",
        paper="https://arxiv.org/abs/2110.07809",
        weights=UniformConfig(symmetric=True, strategy="block", blocks=(16, 4)),
        transforms=(ChannelPermutationConfig(),),
        activations=activations(UniformConfig(symmetric=True), attention_map=UniformConfig()),
        search=(SearchConfig(metric="cosine", count=50),),
        notes=NOTES,
    )
)
