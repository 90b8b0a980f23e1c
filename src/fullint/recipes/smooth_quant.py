"""SmoothQuant (Xiao et al., ICML 2023, arXiv 2211.10438) and MPTQ-ViT (Tai and Wu, arXiv
2401.14895), single precision.
"""

from __future__ import annotations

from fullint.recipes.common import INTEGER_NOTE, activations
from fullint.recipes.registry import register
from fullint.recipes.schema import Recipe, TwinConfig, UniformConfig
from fullint.recipes.steps import SmoothQuantConfig

register(
    Recipe(
        name="smoothquant",
        summary="LayerNorm outputs balanced against the weights behind them",
        paper="https://arxiv.org/abs/2211.10438",
        weights=UniformConfig(symmetric=True, strategy="channel"),
        transforms=(SmoothQuantConfig(),),
        activations=activations(UniformConfig(symmetric=True), attention_map=UniformConfig()),
        notes="Faithful: equation 4 with balance 1/2, static ranges, activations a tensor. "
        "Changed: factors have the geometric mean 1; weights have a scale a channel (published: "
        "one a tensor).\n" + INTEGER_NOTE,
    )
)
register(
    Recipe(
        name="mptq",
        summary="SmoothQuant with centred channels (SQ-b), twin grids (OPT-m); single precision",
        paper="https://arxiv.org/abs/2401.14895",
        weights=UniformConfig(symmetric=True, strategy="channel", observer="mse"),
        transforms=(SmoothQuantConfig(centered=True),),
        activations=activations(
            UniformConfig(symmetric=True, observer="mse"),
            attention_map=TwinConfig(),
            activation=TwinConfig(),
        ),
        notes="After the paper's text, as no code is public: SQ-b, and twin regions whose steps "
        "differ by a power of two chosen by squared error. Its mixed precision is left out. Ours: "
        "balance 1/2, ranges of least squared error.\n" + INTEGER_NOTE,
    )
)
