"""noisy_bias: NoisyQuant (Liu et al., arXiv 2211.16056).

A fixed noise N a channel is added to the inputs of a linear layer before they are rounded, and W N
is taken off its bias. N = m + rho * eta, eta uniform over one step (section 3.2; the published code
draws 2 * normal - 1), m and rho searched for the least squared error of the layer's outputs.
LayerNorm's offset adds the noise, and so do the values' biases in front of an attention's output,
as the rows of the attention map sum to one. Behind an activation function nothing could: the inputs
of an MLP's second layer stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.fx
from torch import Tensor

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.grids import Grid, UniformGrid
from fullint.quantization.steps import implements
from fullint.quantization.transforms.attention import find_attentions
from fullint.quantization.transforms.layer_norms import foldable_layer_norms
from fullint.quantization.transforms.sampled_rows import sampled_rows
from fullint.recipes.steps import NoisyBiasConfig

ROWS = 1024
SHIFTS = 41
STRENGTHS = 41


@implements(NoisyBiasConfig)
def add_noisy_biases(graph: QuantizedGraph, config: NoisyBiasConfig, data: CalibrationData) -> None:
    """Change every LayerNorm and attention with constants of their own whose output has uniform
    codes, and fix that grid: the noise fits no other.
    """
    norms, attentions = foldable_layer_norms(graph), find_attentions(graph)
    sampled = set(norms) | {attention.inputs[0] for attention in attentions}
    samples = sampled_rows(graph.module, sampled, data, ROWS)
    # What calibration chooses without noise.
    without = QuantizedGraph(graph.module, graph.recipe)
    without.fixed_grids |= graph.fixed_grids
    without.calibrate(data)
    search = _Search(without.grids, torch.Generator().manual_seed(config.seed))
    for node, norm in norms.items():
        norm.shift(-search.noise(node, samples[node], norm.weight))
    for attention in attentions:
        inputs, places = attention.inputs
        rows = samples[inputs][:, places]
        attention.shift_values(-search.noise(attention.output, rows, attention.weight))
    graph.fixed_grids |= search.fitted


@dataclass(frozen=True)
class _Search:
    grids: dict[torch.fx.Node, Grid]
    generator: torch.Generator
    fitted: dict[torch.fx.Node, Grid] = field(default_factory=dict)

    def noise(self, node: torch.fx.Node, rows: Tensor, weight: Tensor) -> Tensor:
        """The best noise (channels,), float64, for `node`, of which there are samples (rows,
        channels), in front of a weight (outputs, channels); zeros where its grid is not uniform.
        """
        channels = rows.shape[1]
        grid = self.grids.get(node)
        if not isinstance(grid, UniformGrid) or grid.scale.ndim > 0:
            return torch.zeros(channels, dtype=torch.float64)
        self.fitted[node] = grid
        step = float(grid.scale)
        shifts = torch.linspace(-step, step, SHIFTS, dtype=torch.float64)
        uniform = torch.rand(channels, generator=self.generator, dtype=torch.float64) - 0.5
        strengths = torch.linspace(0, 2, STRENGTHS, dtype=torch.float64) * step
        noise = _best(shifts[:, None].expand(-1, channels), rows, weight, grid)
        return _best(noise + strengths[:, None] * uniform, rows, weight, grid)


def _best(candidates: Tensor, rows: Tensor, weight: Tensor, grid: UniformGrid) -> Tensor:
    """Of noises (candidates, channels), the one of the least squared error behind the weight."""
    moments = (weight.T @ weight).to(rows.dtype)

    def output_error(noise: Tensor) -> float:
        noisy = rows + noise.to(rows.dtype)
        error = grid.fake_quantize(noisy) - noisy
        return float((error @ moments * error).sum())

    return min(candidates, key=output_error)
