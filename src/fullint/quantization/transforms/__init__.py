"""Transforms: rewrites of the float graph that change no output, but make its tensors easier to
quantize, one file each.

To add one, declare its options in `fullint.recipes.steps`, decorate the function that does it with
`implements` in a new file, and import it below.
"""

from fullint.quantization.transforms import layer_norm_equalization  # noqa: F401  (registration)
