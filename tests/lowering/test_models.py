"""Whole models: quality, integers only, saved and loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import fullint
from fullint.integer.artifact import read
from fullint.integer.audit import audit
from fullint.integer.interpreter import run
from fullint.integer.model import IntegerModel
from fullint.lowering.comparison import compare
from fullint.quantization.grids import UniformGrid

from ..small_models import (
    MODELS,
    decibels,
    float_logits,
    images,
    lowered,
    model,
    pixels,
    size_of,
    traced,
)

# Signal to difference of the logits from the float model's, in dB. Small random models are hard to
# quantize; the numbers are a few below what they are, to catch what breaks.
LEAST_QUALITY = {
    "default": 22,
    "fq-vit-888": 19,
    "fq-vit": 13,
    "fq-vit-ema": 13,
    "fq-vit-percentile": 13,
    "fq-vit-omse": 13,
}


@pytest.mark.parametrize("recipe", LEAST_QUALITY)
@pytest.mark.parametrize("name", MODELS)
def test_logits_are_near_the_float_models(name: str, recipe: str) -> None:
    _, program = lowered(name, recipe)
    batch = images(12, size_of(name), seed=3)
    logits = run(program, batch) * program.logit_scale
    assert decibels(float_logits(model(name), batch), logits) > LEAST_QUALITY[recipe]


@pytest.mark.parametrize("recipe", ["default", "fq-vit"])
@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_is_integer_and_in_its_proven_range(name: str, recipe: str) -> None:
    _, program = lowered(name, recipe)
    found = audit(program)
    assert (found.float_tensors, found.float_operations) == ((), ())
    for tensor, values in traced(program, images(2, size_of(name), seed=8)).items():
        assert values.dtype.kind in "iu", tensor
        assert program.types[tensor].low <= values.min(), tensor
        assert values.max() <= program.types[tensor].high, tensor


@pytest.mark.parametrize("recipe", ["default", "fq-vit"])
@pytest.mark.parametrize("name", MODELS)
def test_codes_are_encodable(name: str, recipe: str) -> None:
    graph, program = lowered(name, recipe)
    for node in graph.quantizers:
        grid, tensor = graph.grids[node], program.types[node.name]
        if isinstance(grid, UniformGrid):
            assert grid.low <= tensor.low and tensor.high <= grid.high
        else:
            assert tensor.low >= 0 and tensor.high <= (15 if recipe == "fq-vit" else 255)


@pytest.mark.parametrize("name", MODELS)
def test_saved_loaded_identical(name: str, tmp_path: Path) -> None:
    _, program = lowered(name, "fq-vit")
    IntegerModel(program).save(tmp_path / "model")
    loaded = read(tmp_path / "model").program
    batch = images(3, size_of(name), seed=9)
    assert np.array_equal(run(program, batch), run(loaded, batch))


@pytest.mark.parametrize("recipe", ["default", "fq-vit", "fq-vit-888"])
@pytest.mark.parametrize("name", MODELS)
def test_simulation_and_program_agree(name: str, recipe: str) -> None:
    graph, program = lowered(name, recipe)
    result = compare(graph, program, pixels(40, size_of(name), seed=4).split(7))
    assert result.images == 40
    # Random weights: an image in twenty has two classes nearly tied.
    assert result.agreeing >= 36
    names = {node.name for node in graph.quantizers if isinstance(graph.grids[node], UniformGrid)}
    assert {layer.tensor for layer in result.layers} == names
    assert min(layer.signal_to_difference for layer in result.layers) > 12
    assert max(layer.signal_to_difference for layer in result.layers) > 40


def test_comparison_counts_what_differs() -> None:
    graph, program = lowered("vit", "fq-vit")
    same = compare(graph, program, [pixels(2)])
    first = next(layer for layer in same.layers if layer.tensor == "add")
    assert first.equal > 0.99 and first.largest <= 1
    rows = same.rows()
    assert set(rows[0]) == {"tensor", "module", "equal", "largest", "signal_to_difference"}
    # The differences of one image at a time add up to those of the batch.
    apart = [compare(graph, program, [image[None]]) for image in pixels(2)]
    for index, layer in enumerate(same.layers):
        parts = [result.layers[index] for result in apart]
        assert layer.equal == pytest.approx(sum(part.equal for part in parts) / 2, abs=1e-5)
        assert layer.largest == max(part.largest for part in parts)


def test_batches_do_not_matter() -> None:
    _, program = lowered("padded swin", "default")
    batch = images(5, 28, seed=2)
    apart = np.concatenate([run(program, batch[i : i + 1]) for i in range(5)])
    assert np.array_equal(run(program, batch), apart)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "recipe", "options"),
    [
        ("swin_tiny_patch4_window7_224", "default", {}),
        ("vit_base_patch16_224", "fq-vit", {"depth": 4}),  # more are more of the same
    ],
)
def test_full_size(name: str, recipe: str, options: dict[str, int], tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = fullint.load_timm_model(name, pretrained=False, **options)
    batch = images(8, 224)
    result = fullint.quantize(source, batch, recipe=recipe)
    result.save(tmp_path / "model")
    loaded = fullint.load(tmp_path / "model")
    logits = loaded(batch[:1])
    assert logits.shape == (1, 1000) and logits.dtype == np.int32
    assert np.array_equal(logits, result(batch[:1]))
    assert decibels(source.logits(batch[:1]), logits * loaded.program.logit_scale) > 10
