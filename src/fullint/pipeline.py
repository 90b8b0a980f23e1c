"""From a float model and images to an integer model: every step in order, only composition."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, fx, nn

from fullint.calibration import CalibrationSet
from fullint.capture import capture
from fullint.data import Preprocessing
from fullint.errors import FullintError
from fullint.integer.metadata import Agreement, Calibration, ModelMetadata, Provenance
from fullint.integer.model import IntegerModel
from fullint.lowering import lower
from fullint.lowering.comparison import Comparison, compare
from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.correction import correct_layers
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.steps import run_step
from fullint.recipes import Recipe, find_recipe
from fullint.sources import ModelSource
from fullint.version import __version__

COMPARED_IMAGES = 8
TRANSFORM_TOLERANCE = 1e-3
Progress = Callable[[str, int, int], None]


def quantize(
    model: nn.Module | ModelSource,
    images: np.ndarray | str | os.PathLike[str] | CalibrationSet,
    *,
    recipe: str | Recipe = "default",
    preprocessing: Preprocessing | None = None,
    progress: Progress | None = None,
) -> IntegerModel:
    """Turn a trained vision transformer into an integer-only model, without retraining.

    Args:
        model: a classifier; what `fullint.load_timm_model` gives, or any module that
            `fullint.capture` can trace.
        images: unlabelled calibration images: a folder, or uint8 pixels (N, height, width,
            channels).
        recipe: a name from `fullint.list_recipes()`, or a Recipe.
        preprocessing: how files become pixels, mean and standard deviation included; timm models
            bring their own.
        progress: called as progress(step, done, total) while it works.

    Returns:
        The model, with calibration, recipe and the agreement of simulation and program in its
        metadata.

    Raises:
        FullintError: one sentence on what is wrong with model, images or recipe.
    """
    chosen = find_recipe(recipe) if isinstance(recipe, str) else recipe
    report = progress or (lambda step, done, total: None)
    source = model if isinstance(model, ModelSource) else _as_source(model, preprocessing)
    spec = preprocessing or source.preprocessing
    calibration = images if isinstance(images, CalibrationSet) else CalibrationSet(images, spec)
    chosen.require_program()
    if calibration.preprocessing != spec:
        raise FullintError(
            "the calibration images are prepared otherwise than the model's; make the "
            "CalibrationSet with the model's preprocessing"
        )
    graph = quantized_graph(source.model, calibration, chosen, report)
    report("lower", 0, 1)
    program = lower(graph)
    comparison = compare(graph, program, _first(calibration, COMPARED_IMAGES))
    report("lower", 1, 1)
    metadata = ModelMetadata(
        preprocessing=spec.to_dict(),
        class_ids=_as_list(source.class_ids),
        class_names=_as_list(source.class_names),
        provenance=_provenance(source, chosen, calibration, comparison),
    )
    return IntegerModel(program, metadata)


def quantized_graph(
    model: nn.Module, calibration: CalibrationSet, recipe: Recipe, report: Progress
) -> QuantizedGraph:
    """The model under a recipe, with all grids chosen: its simulation in float arithmetic.

    Args:
        model, calibration, recipe: as for `quantize`; the images' preprocessing is the model's.
        report: called as report(step, done, total).
    """
    spec = calibration.preprocessing
    report("capture", 0, 1)
    captured = capture(
        model,
        input_size=(spec.channels, spec.height, spec.width),
        mean=spec.mean,
        std=spec.std,
    )
    report("capture", 1, 1)
    return _calibrated_graph(captured, recipe, calibration, report)


def _provenance(
    source: ModelSource, recipe: Recipe, calibration: CalibrationSet, comparison: Comparison
) -> Provenance:
    return Provenance(
        model=source.name,
        checkpoint=None if source.checkpoint is None else source.checkpoint.name,
        checkpoint_sha256=source.checkpoint_sha256,
        float_bytes=4 * sum(parameter.numel() for parameter in source.model.parameters()),
        recipe=recipe.name,
        recipe_declaration=recipe.model_dump(mode="json"),
        bits=recipe.bits,
        calibration=Calibration(
            calibration.used, calibration.content_hash(), calibration.folder_name
        ),
        simulation_agreement=Agreement(comparison.images, comparison.agreeing),
        layer_report=comparison.rows(),
        fullint_version=__version__,
    )


def _as_source(model: nn.Module, preprocessing: Preprocessing | None) -> ModelSource:
    if preprocessing is None:
        if not hasattr(model, "pretrained_cfg"):
            raise FullintError(
                f"{type(model).__name__} does not say how images are prepared for it; "
                "pass preprocessing=Preprocessing(...)"
            )
        from fullint.capture.torchvision_compat import import_timm

        preprocessing = Preprocessing.from_timm(import_timm().data.resolve_model_data_config(model))
    return ModelSource(type(model).__name__, model, preprocessing)


def _calibrated_graph(
    captured: fx.GraphModule, recipe: Recipe, calibration: CalibrationSet, report: Progress
) -> QuantizedGraph:
    """Transforms, grids, search, corrections; `captured` is changed."""

    def data(step: str) -> CalibrationData:
        return CalibrationData(calibration.batches, len(calibration), partial(report, step))

    graph = QuantizedGraph(captured, recipe)
    with _unchanged_logits(captured, calibration):
        for transform in recipe.transforms:
            run_step(graph, transform, data(transform.type))
    graph.calibrate(data("calibrate"))
    for search in recipe.search:
        run_step(graph, search, data("search"))
    correct_layers(graph, recipe.corrections, data("correct"))
    return graph


@contextmanager
def _unchanged_logits(captured: fx.GraphModule, calibration: CalibrationSet) -> Iterator[None]:
    """Refuse a model that the transforms in the block changed by more than float rounding."""
    (pixels,) = _first(calibration, 1)
    with torch.no_grad():
        before = captured(pixels)
        yield
        difference = float((captured(pixels) - before).abs().max())
    if not difference <= TRANSFORM_TOLERANCE * float(before.abs().max()) + 1e-6:
        raise FullintError(
            f"the recipe's transforms changed the float model's logits by {difference:.3g}; "
            "the model has a structure they do not know; choose a recipe without transforms"
        )


def _first(calibration: CalibrationSet, count: int) -> Iterator[Tensor]:
    """The first `count` images, in batches."""
    with closing(calibration.batches()) as batches:
        for pixels in batches:
            yield pixels[:count]
            count -= len(pixels)
            if count <= 0:
                return


def _as_list(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)
