"""Baselines: one range estimator for weights and activations, no method."""

from __future__ import annotations

from fullint.recipes.common import INTEGER_NOTE, activations
from fullint.recipes.registry import register
from fullint.recipes.schema import Recipe, UniformConfig

SUMMARIES = {
    "minmax": "the whole range of every tensor",
    "percentile": "the extreme percentiles with the least squared error",
    "omse": "the range with the least squared error",
}
_OBSERVERS = {"minmax": "minmax", "percentile": "percentile_list", "omse": "mse"}
NOTES = f"""\
Symmetric weights a channel, asymmetric activations a tensor. Attention maps have their whole range.
{INTEGER_NOTE}"""

for _name, _summary in SUMMARIES.items():
    _observer = _OBSERVERS[_name]
    register(
        Recipe(
            name=_name,
            summary=f"baseline: {_summary}",
            weights=UniformConfig(symmetric=True, strategy="channel", observer=_observer),
            activations=activations(
                UniformConfig(observer=_observer),
                attention_map=UniformConfig(),
            ),
            notes=NOTES,
        )
    )
