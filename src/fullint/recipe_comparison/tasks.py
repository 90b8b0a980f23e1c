"""What a comparison does in processes of their own: the float model's logits, and one cell."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fullint
from fullint.calibration import CalibrationSet
from fullint.errors import FullintError
from fullint.memory import peak_memory_bytes
from fullint.pipeline import quantized_graph
from fullint.recipe_comparison.float_reference import (
    FloatReference,
    compute_reference,
    validation_loader,
)
from fullint.recipe_comparison.job import Job
from fullint.recipe_comparison.measurement import measure
from fullint.recipes import Recipe
from fullint.sources import ModelSource, load_timm_model

Report = Callable[[str, int, int], None]
RealPredict = Callable[[np.ndarray], np.ndarray]


def float_logits(job: Job, report: Report, *, folder: str, name: str, path: str) -> dict[str, Any]:
    """Write the `FloatReference` of the validation folder `folder`, called `name`, to `path`."""
    source = _load(job, report)
    reference = compute_reference(
        job,
        folder,
        source.preprocessing,
        source.logits,
        source.class_ids,
        source.model.num_classes,  # type: ignore[arg-type]
        partial(report, "evaluate"),
    )
    reference.write(Path(path), job.float_settings(name))
    return {}


def run_cell(
    job: Job,
    report: Report,
    *,
    recipe: dict[str, Any],
    references: dict[str, str],
    save: str | None,
) -> dict[str, Any]:
    """Quantize by a recipe and measure the result on every validation folder.

    Args:
        recipe: its declaration.
        references: file of float logits by the validation folder's name.
        save: where to keep the integer model; None: nowhere.

    Returns:
        "runs_in" "integers" or "simulation"; "quantization_seconds", tracing and lowering
        included, loading of the float model not, and "quantization_cpu_seconds", of all threads
        together; "peak_memory_mb" of loading and quantizing; "model_size_mb", None for a
        simulation; "figures" by validation folder.
    """
    source = _load(job, report)
    spec = source.preprocessing
    calibration = CalibrationSet(
        job.calibration, spec, limit=job.calibration_images, batch_size=job.batch_size
    )
    start, start_cpu = time.monotonic(), time.process_time()
    declaration = Recipe.model_validate(recipe)
    make = _simulation if declaration.simulation_only else _integers
    predict, size = make(source, calibration, declaration, report, save)
    result: dict[str, Any] = {
        "runs_in": "simulation" if declaration.simulation_only else "integers",
        "quantization_seconds": round(time.monotonic() - start, 1),
        "quantization_cpu_seconds": round(time.process_time() - start_cpu, 1),
        "peak_memory_mb": _megabytes(peak_memory_bytes()),
        "model_size_mb": _megabytes(size),
        "figures": {},
    }
    for name, folder in zip(job.validation_names, job.validation, strict=True):
        reference = FloatReference.read(Path(references[name]), job.float_settings(name))
        if reference is None:
            raise FullintError(f"the float model's logits on '{name}' are gone or changed")
        _, _, images = validation_loader(job, folder, spec)
        step = partial(report, f"evaluate on {name}")
        result["figures"][name] = measure(predict, images, reference, step)
    return result


TASKS: dict[str, Callable[..., dict[str, Any]]] = {"float": float_logits, "cell": run_cell}


def _load(job: Job, report: Report) -> ModelSource:
    report("load", 0, 1)
    source = load_timm_model(
        job.model,
        job.checkpoint,
        crop_pct=job.crop_pct,
        crop_mode=job.crop_mode,
        **job.model_options,
    )
    report("load", 1, 1)
    return source


def _integers(
    source: ModelSource,
    calibration: CalibrationSet,
    recipe: Recipe,
    report: Report,
    save: str | None,
) -> tuple[RealPredict, int | None]:
    """Real logits of the integer program, and its size in bytes."""
    model = fullint.quantize(source, calibration, recipe=recipe, progress=report)
    if save is not None:
        model.save(save, overwrite=True)
    scale = model.program.logit_scale
    return lambda pixels: model(pixels) * scale, model.size_bytes


def _simulation(
    source: ModelSource,
    calibration: CalibrationSet,
    recipe: Recipe,
    report: Report,
    save: str | None,
) -> tuple[RealPredict, int | None]:
    """Logits of the quantized graph in float arithmetic; there is nothing to save."""
    graph = quantized_graph(source.model, calibration, recipe, report)

    def predict(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return graph.simulate(torch.from_numpy(pixels).float()).numpy()

    return predict, None


def _megabytes(count: int | None) -> float | None:
    return None if count is None else round(count / 1e6, 2)
