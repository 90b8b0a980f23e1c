"""ERQ (Zhong et al., ICML 2024, arXiv 2407.06794)."""

from __future__ import annotations

from fullint.recipes.registry import register
from fullint.recipes.repq_vit import NOTES, REPQ_VIT
from fullint.recipes.steps import ActivationRidgeConfig, WeightRidgeConfig

ERQ_NOTES = """\
Faithful: ridge regression of the float outputs on the rounded inputs, all inputs of the float
model; then weights rounded by halves in index order, up to 100 refinements of a row against its own
error, and ridge regression of the rest on what was lost. Changed: the penalty is in units of the
inputs' mean square, 1000 tokens' worth in every layer (published: 1000 to 20000 for inputs of any
size, 0.1 for the head), and does not pull at the bias; a layer with fewer tokens than inputs has
its bias corrected only; ranges of the weights are chosen again after the first regression.
Starts from RepQ-ViT:
"""

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
            "notes": ERQ_NOTES + NOTES,
        }
    )
)
