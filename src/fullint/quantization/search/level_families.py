"""Grids of levels as a search sees them: what the numbers of a published grid are, and which grid
they make.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from fullint.quantization.grids import (
    SMALLEST_SCALE,
    Grid,
    LevelGrid,
    adalog_activation_grid,
    adalog_grid,
    log_sqrt2_grid,
    shift_uniform_log2_grid,
    tangent_grid,
    twin_activation_grid,
    twin_grid,
)
from fullint.quantization.grids.level import LARGEST_ACTIVATION_LEVEL, LARGEST_ATTENTION_LEVEL
from fullint.quantization.grids.twin import (
    largest_twin_activation_exponent,
    largest_twin_exponent,
)
from fullint.quantization.quantizers.adalog import NUMERATORS
from fullint.quantization.quantizers.shift_uniform_log2 import SHIFTS
from fullint.quantization.quantizers.tangent import ANGLES, CENTERS
from fullint.quantization.search.parameters import Family, Parameters
from fullint.recipes.schema import (
    AdaLogConfig,
    LogSqrt2Config,
    QuantizerConfig,
    Role,
    ShiftUniformLog2Config,
    TangentConfig,
    TwinConfig,
)

Make = Callable[[Parameters], LevelGrid]


class LevelFamily(Family):
    """Grids of one published kind.

    Args:
        make: the grid of parameters.
        start: the present grid's parameters.
        integer_range: see Family.
        has_scale: see Family.
        offset: what the scale covers beyond the largest value.
    """

    def __init__(
        self,
        make: Make,
        start: Parameters,
        integer_range: tuple[int, int] = (0, 0),
        *,
        has_scale: bool = False,
        offset: float = 0.0,
    ) -> None:
        self.make, self.start = make, start
        self.integer_range, self.has_scale = integer_range, has_scale
        self.offset = offset
        self.integer_shapes = integer_range != (0, 0)

    def grid(self, parameters: Parameters) -> LevelGrid:
        """See Family."""
        return self.make(parameters)

    def of_range(self, low: Tensor, high: Tensor) -> Parameters:
        """See Family; only the upper end counts."""
        scale = (
            (high + self.offset).clamp_min(SMALLEST_SCALE) if self.has_scale else self.start.scale
        )
        return Parameters(scale, self.start.integer)


def level_family(config: QuantizerConfig, role: Role, present: Grid) -> Family | None:
    """The grids that a recipe's declaration allows instead of the present one; None if that is a
    fixed one.
    """
    if not isinstance(present, LevelGrid):
        return None
    match config, role:
        case AdaLogConfig(), "attention_map":
            return _adalog(config.num_bits, present)
        case AdaLogConfig(), _:
            return _adalog_activation(config.num_bits, present)
        case TwinConfig(), "attention_map":
            return _twin(config.num_bits, present)
        case TwinConfig(), _:
            return _twin_activation(config.num_bits, present)
        case LogSqrt2Config(), _:
            return _log_sqrt2(config.num_bits, present)
        case ShiftUniformLog2Config(), _:
            return _shift_uniform_log2(config.num_bits, present)
        case TangentConfig(), _:
            return _tangent(config.num_bits, present)
    return None


def _adalog(num_bits: int, present: LevelGrid) -> LevelFamily:
    """Integer: the base's numerator, of every head that has one."""
    rows = present.thresholds.reshape(-1, present.thresholds.shape[-1])
    tried = torch.stack([adalog_grid(num_bits, [q]).thresholds for q in NUMERATORS])
    nearest = torch.cdist(rows, tried).argmin(1) + NUMERATORS[0]
    start = Parameters(torch.ones(len(rows), dtype=torch.float64), nearest.double())

    def make(parameters: Parameters) -> LevelGrid:
        return adalog_grid(num_bits, parameters.integer.tolist())

    return LevelFamily(make, start, (NUMERATORS[0], NUMERATORS[-1]))


def _adalog_activation(num_bits: int, present: LevelGrid) -> LevelFamily:
    """Scale: the largest value, shift included. Integer: the base's numerator."""
    step = float(present.scale)
    shift = -int(present.levels[0]) * step

    def make(parameters: Parameters) -> LevelGrid:
        largest, numerator = float(parameters.scale), int(parameters.integer)
        return adalog_activation_grid(num_bits, numerator, largest=largest, shift=shift)

    largest = step * LARGEST_ACTIVATION_LEVEL
    start = _nearest(present, make, (_parameters(largest, q) for q in NUMERATORS))
    return LevelFamily(make, start, (NUMERATORS[0], NUMERATORS[-1]), has_scale=True, offset=shift)


def _twin(num_bits: int, present: LevelGrid) -> LevelFamily:
    """Integer: the exponent between the steps."""

    def make(parameters: Parameters) -> LevelGrid:
        return twin_grid(num_bits, int(parameters.integer))

    start = _parameters(1.0, _twin_exponent(num_bits, present))
    return LevelFamily(make, start, (0, largest_twin_exponent(num_bits)))


def _twin_activation(num_bits: int, present: LevelGrid) -> LevelFamily:
    """Scale: the positive step, times its number of codes. Integer: the exponent."""
    codes = 2 ** (num_bits - 1) - 1

    def make(parameters: Parameters) -> LevelGrid:
        step, exponent = float(parameters.scale) / codes, int(parameters.integer)
        return twin_activation_grid(num_bits, exponent, positive_scale=step)

    exponent = _twin_exponent(num_bits, present)
    start = _parameters(float(present.scale) * 2**exponent * codes, exponent)
    return LevelFamily(make, start, (0, largest_twin_activation_exponent(num_bits)), has_scale=True)


def _log_sqrt2(num_bits: int, present: LevelGrid) -> LevelFamily:
    """Scale: the largest value."""

    def make(parameters: Parameters) -> LevelGrid:
        return log_sqrt2_grid(num_bits, float(parameters.scale))

    start = _parameters(float(present.scale) * LARGEST_ATTENTION_LEVEL, 0)
    return LevelFamily(make, start, has_scale=True)


def _shift_uniform_log2(num_bits: int, present: LevelGrid) -> LevelFamily:
    """Scale: the largest value, which stays. Integer: the number of one of the published shifts."""

    def make(parameters: Parameters) -> LevelGrid:
        shift, largest = SHIFTS[int(parameters.integer)], float(parameters.scale)
        return shift_uniform_log2_grid(num_bits, shift, largest)

    def with_shift(index: int) -> Parameters:
        # The first threshold is half a step above the shift, in logarithms.
        octaves = 2 * math.log2(float(present.thresholds[0]) / SHIFTS[index] + 1)
        largest = SHIFTS[index] * (2 ** (octaves * (2**num_bits - 1)) - 1)
        return _parameters(min(largest, 1.0), index)

    start = _nearest(present, make, map(with_shift, range(len(SHIFTS))))
    return LevelFamily(make, start, (0, len(SHIFTS) - 1))


def _tangent(num_bits: int, present: LevelGrid) -> LevelFamily:
    """Integer: the number of a pair of center and angle."""
    pairs = [(center, angle) for center in CENTERS for angle in ANGLES]

    def make(parameters: Parameters) -> LevelGrid:
        return tangent_grid(num_bits, *pairs[int(parameters.integer)])

    start = _nearest(present, make, (_parameters(1.0, pair) for pair in range(len(pairs))))
    return LevelFamily(make, start, (0, len(pairs) - 1))


def _twin_exponent(num_bits: int, present: LevelGrid) -> int:
    return round(math.log2(int(present.levels.max()) / (2 ** (num_bits - 1) - 1)))


def _parameters(scale: float, integer: int) -> Parameters:
    return Parameters(
        torch.tensor([scale], dtype=torch.float64), torch.tensor([integer], dtype=torch.float64)
    )


def _nearest(present: LevelGrid, make: Make, candidates: Iterable[Parameters]) -> Parameters:
    """Parameters of the grid whose thresholds are nearest to the present one's."""
    return min(
        candidates,
        key=lambda tried: float((make(tried).thresholds - present.thresholds).abs().sum()),
    )
