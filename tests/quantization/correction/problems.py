"""Single layers to correct, made from rows of inputs, and their losses by NumPy."""

from __future__ import annotations

import numpy as np
import torch

from fullint.quantization.correction.layers import LayerProblem
from fullint.quantization.correction.moments import InputMoments
from fullint.quantization.weights import weight_grid
from fullint.recipes.schema import UniformConfig

STEP = 0.25


def inputs(rows: int = 240, channels: int = 6, seed: int = 0) -> np.ndarray:
    """Correlated inputs with a mean, float64 (rows, channels), on multiples of STEP / 8."""
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(channels, channels))
    values = random.normal(size=(rows, channels)) @ mixing + random.normal(size=channels)
    return np.round(values * 8 / STEP) * STEP / 8


def rounded(values: np.ndarray) -> np.ndarray:
    """Inputs in steps of STEP."""
    return np.round(values / STEP) * STEP


def problem(
    exact: np.ndarray,
    given: np.ndarray,
    *,
    outputs: int = 5,
    num_bits: int = 3,
    bias: bool = True,
    parts: int = 4,
) -> LayerProblem:
    """A random layer that reads `given` where the float model reads `exact`."""
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(outputs, exact.shape[1], generator=generator, dtype=torch.float64)
    offset = torch.randn(outputs, generator=generator, dtype=torch.float64) if bias else None
    config = UniformConfig(num_bits=num_bits, symmetric=True, strategy="channel")
    moments = []
    for index in range(parts):
        part = InputMoments(exact.shape[1])
        part.add(torch.from_numpy(given[index::parts]), torch.from_numpy(exact[index::parts]))
        moments.append(part)
    return LayerProblem(
        weight=weight.clone(),
        bias=None if offset is None else offset.clone(),
        grid=weight_grid(weight.float(), config),
        reference_weight=weight,
        reference_bias=offset,
        parts=moments,
        config=config,
    )


def error(layer: LayerProblem, exact: np.ndarray, given: np.ndarray) -> np.ndarray:
    """What the layer's outputs lack of the float model's, (rows, outputs)."""
    difference = exact @ layer.reference_weight.numpy().T - given @ layer.weight.numpy().T
    if layer.bias is not None and layer.reference_bias is not None:
        difference += (layer.reference_bias - layer.bias).numpy()
    return difference


def on_grid(layer: LayerProblem) -> bool:
    """Whether every weight is a value of the layer's grid."""
    return bool(torch.equal(layer.grid.fake_quantize(layer.weight), layer.weight))
