"""Quantizers: from calibration data to a grid, one file a kind of grid.

A quantizer sees the batches of calibration tensors, once for each of its passes, then `freeze`
returns its grid. To add one, subclass `Quantizer` in a new file and give it to `make_quantizer`
below.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from fullint.errors import FullintError
from fullint.quantization.granularity import TENSOR, Groups, TokenPositions
from fullint.quantization.quantizers.adalog import AdaLogActivationQuantizer, AdaLogQuantizer
from fullint.quantization.quantizers.attention import (
    FixedQuantizer,
    Log2Quantizer,
    RowRelativeQuantizer,
)
from fullint.quantization.quantizers.base import Quantizer
from fullint.quantization.quantizers.log_sqrt2 import LogSqrt2Quantizer
from fullint.quantization.quantizers.power_of_two_factor import PowerOfTwoFactorQuantizer
from fullint.quantization.quantizers.shift_uniform_log2 import ShiftUniformLog2Quantizer
from fullint.quantization.quantizers.tangent import TangentQuantizer
from fullint.quantization.quantizers.twin import TwinActivationQuantizer, TwinQuantizer
from fullint.quantization.quantizers.uniform import UniformQuantizer
from fullint.recipes.schema import (
    AdaLogConfig,
    Log2Config,
    LogSqrt2Config,
    QuantizerConfig,
    Role,
    RowRelativeConfig,
    ShiftUniformLog2Config,
    SoftmaxConfig,
    TangentConfig,
    TwinConfig,
    UniformConfig,
)

__all__ = ["Quantizer", "make_quantizer"]


def make_quantizer(
    config: QuantizerConfig,
    *,
    role: Role,
    groups: Groups | TokenPositions = TENSOR,
    through: Callable[[Tensor], Tensor] | None = None,
) -> Quantizer:
    """The quantizer that a recipe's declaration asks for.

    Args:
        config: any but SharedConfig, which stands for another tensor's quantizer.
        role: what the tensor is for.
        groups: which channels, or which token positions, share a scale.
        through: the function that the values go through next, if that is known.

    Raises:
        FullintError: a grid that is not for this role.
    """
    match config, role:
        case UniformConfig(strategy="power_of_two_factor"), _:
            return PowerOfTwoFactorQuantizer(config)
        case UniformConfig(), _:
            return UniformQuantizer(config, groups, through)
        case Log2Config(), "attention_map":
            return Log2Quantizer(config)
        case RowRelativeConfig(), "attention_map":
            return RowRelativeQuantizer()
        case SoftmaxConfig(), "attention_map":
            return FixedQuantizer(config)
        case LogSqrt2Config(), "attention_map":
            return LogSqrt2Quantizer(config)
        case AdaLogConfig(), "attention_map":
            return AdaLogQuantizer(config)
        case AdaLogConfig(), "activation":
            return AdaLogActivationQuantizer(config)
        case TwinConfig(), "attention_map":
            return TwinQuantizer(config)
        case TwinConfig(), "activation":
            return TwinActivationQuantizer(config)
        case ShiftUniformLog2Config(), "attention_map":
            return ShiftUniformLog2Quantizer(config)
        case TangentConfig(), "attention_map":
            return TangentQuantizer(config)
    raise FullintError(f"'{role}' cannot have a grid of type '{config.type}'")
