"""Checks of the constant factors of a requantization (see `fixed_point.requantize`)."""

from __future__ import annotations

from fullint.errors import FullintError
from fullint.integer.types import INT32_HIGH, Operand, TensorType


def check_factor(
    x: TensorType, pre_shift: Operand, multiplier: Operand, shift: Operand, intermediate_bits: int
) -> None:
    """Refuse factors with which a result could leave int32 (fast form) or int64 (exact form)."""
    if intermediate_bits == 16:
        limits = (31, 2**15 - 1, 30)
    elif intermediate_bits == 32:
        limits = (0, 2**31 - 1, 62)
    else:
        raise FullintError(f"intermediate_bits is 16 or 32, not {intermediate_bits}")
    for name, parameter, limit in zip(
        ("pre_shift", "multiplier", "shift"), (pre_shift, multiplier, shift), limits, strict=True
    ):
        values = parameter.values()
        if values.min() < 0 or values.max() > limit:
            raise FullintError(
                f"{name} must lie in [0, {limit}] with {intermediate_bits}-bit intermediates"
            )
    if x.high + (2 ** int(pre_shift.values().max()) >> 1) > INT32_HIGH:
        raise FullintError("rounding before the pre-shift could overflow a 32-bit accumulator")
