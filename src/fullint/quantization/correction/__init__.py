"""Corrections: closed-form changes of weights and biases that make up for rounding, one file each.

Each works on one linear layer at a time (`layers.LayerProblem`); `correct_layers` brings them the
layers of a network in order, with the moments of their inputs.

To add one, declare its options in `fullint.recipes.steps`, decorate the function that does it with
`corrects` in a new file, and import it below.
"""

from fullint.quantization.correction import (  # noqa: F401  (registration)
    activation_ridge,
    bias_correction,
    gptq,
    weight_ridge,
)
from fullint.quantization.correction.driver import correct_layers

__all__ = ["correct_layers"]
