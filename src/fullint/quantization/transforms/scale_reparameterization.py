"""scale_reparameterization: give all channels of LayerNorm's output one scale and one zero point.

RepQ-ViT (Li et al., arXiv 2212.08254, section 4.1): quantize every channel on its own grid, then
fold the differences between the grids into the LayerNorm in front and the linear layers behind,
until one grid serves the tensor. The published code leaves a fraction in the common zero point,
which then has one code too many; here it is an integer, since any shift can be folded.
Variants: the median of DopQ-ViT (arXiv 2408.03291) as the common scale, NormQuant's share of the
weights (UQ-ViT), and RepQuant's clipping of each channel (arXiv 2402.05628), searched, not learnt.
With groups (IGQ-ViT, arXiv 2404.00928) a channel's grid is that of its group: few scales go into
the weights, and what a grid a group does runs in integers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.errors import FullintError
from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.grids import UniformGrid
from fullint.quantization.steps import implements
from fullint.quantization.transforms.channel_ranges import dual_clipping_ranges, percentile_ranges
from fullint.quantization.transforms.layer_norms import FoldableLayerNorm, foldable_layer_norms
from fullint.quantization.transforms.range_groups import grouped_ranges
from fullint.quantization.transforms.sampled_rows import sampled_rows
from fullint.recipes.schema import UniformConfig
from fullint.recipes.steps import ScaleReparameterizationConfig

ROWS = 4096


@implements(ScaleReparameterizationConfig)
def reparameterize_scales(
    graph: QuantizedGraph, config: ScaleReparameterizationConfig, data: CalibrationData
) -> None:
    """Change every LayerNorm that only linear layers of its own read, and fix its grid: an observer
    would widen it again to what a channel clips.

    Raises FullintError if the recipe has another grid for LayerNorm's output.
    """
    declared = graph.recipe.activations.get("normalized")
    if not isinstance(declared, UniformConfig) or declared.strategy != "tensor":
        raise FullintError(
            f"recipe '{graph.recipe.name}': scale_reparameterization needs uniform codes a tensor "
            "for 'normalized'"
        )
    ranges = dual_clipping_ranges if config.dual_clipping else percentile_ranges
    norms = foldable_layer_norms(graph)
    for node, rows in sampled_rows(graph.module, set(norms), data, ROWS).items():
        low, high = ranges(rows, declared.num_bits)
        if config.groups is not None:
            low, high = grouped_ranges(low, high, config.groups)
        grid = _reparameterize(norms[node], low, high, config, declared)
        if config.migration == 0:
            graph.fixed_grids[node] = grid


def _reparameterize(
    norm: FoldableLayerNorm,
    low: Tensor,
    high: Tensor,
    config: ScaleReparameterizationConfig,
    declared: UniformConfig,
) -> UniformGrid:
    """Bring the channels' ranges (channels,) to the range of one grid, which is returned.

    Channels whose range is a point join the bias; the point becomes 0.
    """
    levels = 2**declared.num_bits - 1
    scales = (high - low) / levels
    varies = scales > 0
    if not varies.any():
        scales, varies = torch.ones_like(scales), torch.ones_like(varies)
    middle = scales[varies].mean() if config.target == "mean" else scales[varies].median()
    factors = torch.ones_like(scales)
    factors[varies] = (scales[varies] / middle) ** (1 - config.migration)
    factors[varies] /= _relative(norm.weight[:, varies]) ** config.migration
    common = (scales / factors).max()
    if declared.symmetric:
        smallest, zero_point = -(2 ** (declared.num_bits - 1)), 0
    else:
        zero_points = -low[varies] / scales[varies]
        smallest, zero_point = 0, int(zero_points.mean().round().clamp(0, levels))
    # The middle of a channel's range goes to the middle of the codes.
    target = (smallest + levels / 2 - zero_point) * common
    shift = torch.where(varies, target, 0.0)
    norm.fold(factors, (low + high) / 2 - shift * factors)
    return UniformGrid(common, zero_point, smallest, smallest + levels)


def _relative(weight: Tensor) -> Tensor:
    """Largest magnitude of every column, over their geometric mean; 1 where it is zero."""
    columns = weight.abs().amax(dim=0)
    columns = torch.where(columns > 0, columns, 1.0)
    return columns / columns.log().mean().exp()
