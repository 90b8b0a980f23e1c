"""ERQ (Zhong et al., ICML 2024, arXiv 2407.06794)."""

from __future__ import annotations

from fullint.recipes.registry import register
from fullint.recipes.repq_vit import NOTES, REPQ_VIT
from fullint.recipes.steps import ActivationRidgeConfig, WeightRidgeConfig

register(
    REPQ_VIT.model_copy(
        update={
            "name": "erq",
            "summary": "RepQ-ViT, then ridge regressions for activation and weight errors",
            "paper": "https://arxiv.org/abs/2407.06794",
            "corrections": (
                ActivationRidgeConfig(strength=1000.0),
                WeightRidgeConfig(strength=1000.0),
            ),
            "notes": f"Starts from RepQ-ViT. {NOTES}",
        }
    )
)
