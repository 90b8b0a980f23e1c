"""Transforms: rewrites of the float graph that change no output, but make its tensors easier to
quantize, one file each.

A transform takes the captured model, whose constants it changes, and the calibration batches. To
add one, decorate it with `register` in a new file, and import it below.
"""

from fullint.quantization.transforms.registry import TRANSFORMS, Transform, find_transform, register

# isort: off
from fullint.quantization.transforms import layer_norm_equalization  # noqa: F401  (registration)
# isort: on

__all__ = ["TRANSFORMS", "Transform", "find_transform", "register"]
