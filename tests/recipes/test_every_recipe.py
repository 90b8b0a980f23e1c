"""Every recipe on a small model of both families, all the way to the engine."""

from __future__ import annotations

import numpy as np
import pytest

import fullint
from fullint.engine import Engine
from fullint.integer import interpreter
from fullint.recipes import find_recipe, list_recipes

from ..small_models import (
    decibels,
    float_logits,
    images,
    model,
    own_normal_form_of,
    preprocessing,
)

# fq-vit's variants differ in attention map and observer; tests of lowering quantize by them all.
RECIPES = [name for name in list_recipes() if not name.startswith("fq-vit-")]


@pytest.mark.parametrize("bits", ["w4a4", pytest.param("w8a8", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["vit", "swin"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_quantizes_lowers_and_runs(
    recipe: str, name: str, bits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Capturing takes as long as most recipes, and is the same for all: once will do.
    monkeypatch.setattr("fullint.pipeline.capture", lambda *_, **__: own_normal_form_of(name))
    quantized = fullint.quantize(
        model(name),
        images(12),
        recipe=find_recipe(recipe).with_bits(bits),
        preprocessing=preprocessing(),
    )
    program, batch = quantized.program, images(3, seed=5)
    expected = interpreter.run(program, batch)
    assert np.array_equal(Engine(program, threads=1).run(batch), expected)
    # Random weights at four bits: less noise than signal is all that can be asked.
    assert decibels(float_logits(model(name), batch), expected * program.logit_scale) > 0
    simulated = [
        layer["signal_to_difference"] for layer in quantized.metadata.provenance.layer_report
    ]
    assert simulated[-1] > 6 and max(simulated) > 40
