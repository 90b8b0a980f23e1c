"""TanQ: attention weights whose tangent is evenly spaced (DopQ-ViT, arXiv 2408.03291).

The paper publishes no constants. These are ours: with t(x) = tan(angle (x - center) / (1 -
center)), steps in x are proportional to cos^2, widest at `center`; they shrink towards one, where
the argument is `angle`, and less so towards zero, as `center` lies below one half.
"""

from __future__ import annotations

import math

import torch

from fullint.quantization.grids.level import LARGEST_ATTENTION_LEVEL, LevelGrid, level_grid


def tangent_grid(num_bits: int, center: float, angle: float) -> LevelGrid:
    """2^num_bits values from zero to one, both included; 0 <= center < 1, 0 < angle < pi / 2.

    Rounds in the tangent.
    """
    rate = angle / (1 - center)
    lowest, highest = math.tan(-rate * center), math.tan(angle)
    tangents = torch.linspace(lowest, highest, 2**num_bits, dtype=torch.float64)
    middles = (tangents[:-1] + tangents[1:]) / 2
    return level_grid(
        center + torch.atan(tangents) / rate,
        center + torch.atan(middles) / rate,
        largest_level=LARGEST_ATTENTION_LEVEL,
    )
