"""Quantizers: from calibration data to a grid, one file a kind of grid.

A quantizer sees the batches of calibration tensors, once for each of its passes, then `freeze`
returns its grid. To add one, subclass `Quantizer` in a new file and give it to `make_quantizer`
below.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from fullint.quantization.granularity import TENSOR, Groups
from fullint.quantization.quantizers.attention import (
    FixedQuantizer,
    Log2Quantizer,
    RowRelativeQuantizer,
)
from fullint.quantization.quantizers.base import Quantizer
from fullint.quantization.quantizers.power_of_two_factor import PowerOfTwoFactorQuantizer
from fullint.quantization.quantizers.uniform import UniformQuantizer
from fullint.recipes.schema import (
    Log2Config,
    QuantizerConfig,
    RowRelativeConfig,
    SoftmaxConfig,
    UniformConfig,
)

__all__ = ["Quantizer", "make_quantizer"]


def make_quantizer(
    config: QuantizerConfig,
    *,
    groups: Groups = TENSOR,
    through: Callable[[Tensor], Tensor] | None = None,
) -> Quantizer:
    """The quantizer that a recipe's declaration asks for.

    Args:
        config: any but SharedConfig, which stands for another tensor's quantizer.
        groups: which channels share a scale.
        through: the function that the values go through next, if that is known.
    """
    match config:
        case UniformConfig(strategy="power_of_two_factor"):
            return PowerOfTwoFactorQuantizer(config)
        case UniformConfig():
            return UniformQuantizer(config, groups, through)
        case Log2Config():
            return Log2Quantizer(config)
        case RowRelativeConfig():
            return RowRelativeQuantizer()
        case SoftmaxConfig():
            return FixedQuantizer()
    raise TypeError(f"no quantizer for {config!r}")
