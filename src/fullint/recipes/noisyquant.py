"""NoisyQuant (Liu et al., CVPR 2023, arXiv 2211.16056)."""

from __future__ import annotations

from fullint.recipes.common import INTEGER_NOTE, activations
from fullint.recipes.registry import register
from fullint.recipes.schema import Recipe, UniformConfig
from fullint.recipes.steps import NoisyBiasConfig

NOTES = f"""\
Faithful: symmetric grids, weights a channel by their largest value, activations a tensor, a fixed
noisy bias in front of the rounding that the next layer's bias takes back, its mean and strength
searched by the layer's output error. Corrected: the noise is uniform, as in the paper (the
published code draws normal numbers). Changed: the noise goes where an exact rewrite can put it, in
front of the layers behind a LayerNorm and of the attention's projection, not of an MLP's second
layer; 41 means and 41 strengths are tried on 1024 tokens (published: 400 and 2000); ranges have the
least squared error of the tensor (published: of the layer's output); the published code leaves
attention products, softmax, patch embedding and head in float, here they have 8-bit or the recipe's
grids.
{INTEGER_NOTE}"""

register(
    Recipe(
        name="noisyquant",
        summary="a fixed noisy bias in front of the rounding",
        paper="https://arxiv.org/abs/2211.16056",
        weights=UniformConfig(symmetric=True, strategy="channel"),
        transforms=(NoisyBiasConfig(),),
        activations=activations(
            UniformConfig(symmetric=True, observer="mse"), attention_map=UniformConfig()
        ),
        notes=NOTES,
    )
)
