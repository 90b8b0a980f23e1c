"""AdaLog (Wu et al., ECCV 2024, arXiv 2407.12951), calibration only."""

from __future__ import annotations

from fullint.recipes.common import INTEGER_NOTE, activations
from fullint.recipes.registry import register
from fullint.recipes.schema import AdaLogConfig, Recipe, UniformConfig
from fullint.recipes.steps import ScaleReparameterizationConfig, SearchConfig

NOTES = f"""\
Faithful: logarithms of a searched base for attention maps and shifted GELU outputs, each a shift
and an entry of a table, LayerNorm outputs reparameterized to a rounded zero point and searched
again, asymmetric weights a channel, progressive combining search of scale and zero point against
the layer's output, all on tensors of the float model. Changed: bases start at 2/37 (published:
10/37, which leaves most of more than 16 codes unused); zero takes the last code instead of one
more; the shift is the least output seen and is part of the levels, not of the bias behind; heads
have scales but no zero points of their own (centring keys and values, which would stand for them
exactly, gained nothing); the search sees a sample of tokens, takes three steps with eight
candidates kept (published: six with sixteen), and looks for zero points around the present one
instead of the middle of the codes; weights of 8 bits are symmetric.
{INTEGER_NOTE}"""

register(
    Recipe(
        name="adalog",
        summary="adaptive logarithms for attention maps and GELU, progressive search",
        paper="https://arxiv.org/abs/2407.12951",
        weights=UniformConfig(strategy="channel", observer="mse"),
        transforms=(ScaleReparameterizationConfig(),),
        activations=activations(
            UniformConfig(observer="mse"),
            query_key_value=UniformConfig(symmetric=True, strategy="head", observer="mse"),
            attention_map=AdaLogConfig(num_bits=8, strategy="head"),
            activation=AdaLogConfig(num_bits=8),
        ),
        search=(SearchConfig(metric="layer_output", candidates="progressive"),),
        notes=NOTES,
    )
)
