"""Lowering: a calibrated quantized graph to an integer program."""

from fullint.lowering.lower import lower

__all__ = ["lower"]
