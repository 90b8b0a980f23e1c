"""Capture: a trained model as a graph of a few operations, the normal form."""

from fullint.capture.export import capture

__all__ = ["capture"]
