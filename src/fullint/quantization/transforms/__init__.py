"""Transforms: rewrites of the float graph that change no output, but make its tensors easier to
quantize, one file each.

To add one, declare its options in `fullint.recipes.steps`, decorate the function that does it with
`implements` in a new file, and import it below.
"""

from fullint.quantization.transforms import (  # noqa: F401  (imported for their registration)
    channel_permutation,
    head_rotation,
    key_value_centering,
    layer_norm_equalization,
    layer_norm_folding,
    noisy_bias,
    query_key_value_equalization,
    scale_reparameterization,
    smooth_quant,
    stream_rotation,
)
