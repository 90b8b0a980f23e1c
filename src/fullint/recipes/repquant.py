"""RepQuant (Li et al., arXiv 2402.05628), of which no code is public."""

from __future__ import annotations

from fullint.recipes.registry import register
from fullint.recipes.repq_vit import NOTES, REPQ_VIT
from fullint.recipes.steps import GPTQConfig, ScaleReparameterizationConfig

register(
    REPQ_VIT.model_copy(
        update={
            "name": "repquant",
            "summary": "RepQ-ViT with dual clipping a channel and reconstructed weights",
            "paper": "https://arxiv.org/abs/2402.05628",
            "transforms": (ScaleReparameterizationConfig(dual_clipping=True),),
            "corrections": (GPTQConfig(),),
            "notes": "After the paper's text. Its learned clipping is a search over both ends of "
            "each channel here, its weight reconstruction is GPTQ. Otherwise as RepQ-ViT.\n"
            + NOTES,
        }
    )
)
