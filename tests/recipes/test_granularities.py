"""Recipes from files with granularities that no recipe of fullint has, and how they run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("yaml", reason="needs the extra 'quantize'")

import fullint
from fullint.calibration import CalibrationSet
from fullint.engine import Engine
from fullint.errors import FullintError
from fullint.integer import interpreter
from fullint.pipeline import quantized_graph
from fullint.recipes import find_recipe

from ..small_models import decibels, float_logits, images, model, preprocessing

GROUPS = """\
base: repq-vit
name: igq
summary: RepQ-ViT with a range for each of eight groups of channels
paper: https://arxiv.org/abs/2404.00928
transforms: [{type: scale_reparameterization, groups: 8}]
"""
TOKENS = """\
base: minmax
name: fima-q
summary: a scale for each token position
simulation_only: a layer would need a multiplier and a bias for every token
activations:
  normalized: &token {type: uniform, strategy: token}
  attention_output: *token
  activation: *token
"""


def written(tmp_path: Path, text: str) -> str:
    (tmp_path / "mine.yaml").write_text(text)
    return str(tmp_path / "mine.yaml")


@pytest.mark.parametrize("name", ["vit", "swin"])
def test_groups_of_channels_run_in_integers(tmp_path: Path, name: str) -> None:
    recipe = find_recipe(written(tmp_path, GROUPS))
    assert not recipe.simulation_only
    quantized = fullint.quantize(
        model(name), images(12), recipe=recipe, preprocessing=preprocessing()
    )
    program, batch = quantized.program, images(3, seed=5)
    expected = interpreter.run(program, batch)
    assert np.array_equal(Engine(program, threads=1).run(batch), expected)
    assert decibels(float_logits(model(name), batch), expected * program.logit_scale) > 15


@pytest.mark.parametrize("name", ["vit", "swin"])
def test_scales_of_tokens_run_as_a_simulation_that_says_why(tmp_path: Path, name: str) -> None:
    recipe = find_recipe(written(tmp_path, TOKENS))
    with pytest.raises(FullintError, match="no integer program: a layer would need a multiplier"):
        fullint.quantize(model(name), images(8), recipe=recipe, preprocessing=preprocessing())
    calibration, batch = CalibrationSet(images(12), preprocessing()), images(3, seed=5)
    graph = quantized_graph(model(name), calibration, recipe, lambda *_: None)
    with torch.no_grad():
        logits = graph.simulate(torch.from_numpy(batch).float()).numpy()
    assert decibels(float_logits(model(name), batch), logits) > 15
