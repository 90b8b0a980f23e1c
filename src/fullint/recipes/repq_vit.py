"""RepQ-ViT (Li et al., ICCV 2023, arXiv 2212.08254), and GPTQ on top of it."""

from __future__ import annotations

from fullint.recipes.common import INTEGER_NOTE, PERCENTILE_NOTE, activations
from fullint.recipes.registry import register
from fullint.recipes.schema import LogSqrt2Config, Recipe, UniformConfig
from fullint.recipes.steps import GPTQConfig, ScaleReparameterizationConfig

NOTES = f"""\
Faithful: asymmetric uniform grids, weights a channel and activations a tensor, ranges from the
published percentiles; powers of the root of two for attention maps; LayerNorm outputs calibrated a
channel and reparameterized to one scale and zero point. Corrected: the common zero point is
rounded (the published code leaves it a fraction, which gives up to 2^b + 1 levels), a channel
whose range is a point is left alone (the published code divides by it), attention maps have
exactly 2^b levels (the published code has zero as one more). Changed: query, key and value have
symmetric grids, and so have weights of 8 bits; ranges of LayerNorm's channels are those of 4096
tokens; all ranges are those of the float model's tensors (in the published code a
quantizer sees what those before it have rounded, which gained nothing here).
{PERCENTILE_NOTE}{INTEGER_NOTE}"""

UNIFORM = UniformConfig(observer="percentile_list")
REPQ_VIT = register(
    Recipe(
        name="repq-vit",
        summary="LayerNorm outputs reparameterized from channels to a tensor, log-sqrt2 attention",
        paper="https://arxiv.org/abs/2212.08254",
        weights=UniformConfig(strategy="channel", observer="percentile_list"),
        transforms=(ScaleReparameterizationConfig(),),
        activations=activations(UNIFORM, attention_map=LogSqrt2Config(num_bits=8)),
        notes=NOTES,
    )
)

register(
    REPQ_VIT.model_copy(
        update={
            "name": "gptq",
            "summary": "RepQ-ViT's activations, weights rounded by GPTQ",
            "paper": "https://arxiv.org/abs/2210.17323",
            "corrections": (GPTQConfig(),),
            "notes": f"{NOTES}GPTQ with the activations of its published results on vision "
            "transformers, which are RepQ-ViT's. Changed: second moments are about the mean, whose "
            "error the bias takes; a row that ends worse keeps its nearest codes.\n",
        }
    )
)
