"""activation_ridge: the float weights that make most of rounded inputs.

Aqer of ERQ (Zhong et al., ICML 2024, eq. 6 to 9): ridge regression of the float model's outputs Y
on the rounded inputs with a one for the bias, A = [r, 1]:

    [W, b] += ((A^T A + lambda I)^-1 A^T (Y - A [W, b]^T))^T.

Two changes. lambda is in units of the inputs' mean square, so that it says how many tokens the old
weights are worth, where the published code has numbers from 1000 to 20000 for inputs of any size;
and the bias is not pulled towards its old value, so that a large lambda leaves bias correction. The
weights are no longer those their grids were chosen for: these are chosen again.

Without a lambda given, each layer finds its own by cross-validation over parts of the images:
tokens of one image are alike, so that their number says little of how far they can be trusted. A
layer that sees fewer tokens than it has inputs, as a head does, has its bias corrected only.

Inputs of the float model are the better choice at few bits: regression on inputs that hold the
errors of all layers before, by then as large as the signal, shrinks the signal with them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fullint.quantization.correction.layers import LayerProblem, corrects
from fullint.quantization.correction.moments import InputMoments
from fullint.quantization.weights import weight_grid
from fullint.recipes.steps import ActivationRidgeConfig

STRENGTHS = [10.0**exponent for exponent in range(1, 7)]


@corrects(ActivationRidgeConfig)
def regress_on_rounded_inputs(layer: LayerProblem, config: ActivationRidgeConfig) -> None:
    """Change weight, bias and the weight's grid."""
    if layer.moments.rows < layer.weight.shape[1]:
        layer.match_means(layer.weight)
        return
    strength = config.strength or validated_strength(layer)
    change = regression(layer, layer.moments, strength)
    inputs = layer.weight.shape[1]
    layer.weight = layer.weight + change[:inputs].T
    if layer.bias is not None:
        layer.bias = layer.bias + change[inputs]
    layer.grid = weight_grid(layer.weight.float(), layer.config)


def validated_strength(layer: LayerProblem) -> float:
    """The one of STRENGTHS with the least squared error on parts of the images that the regression
    does not see.
    """
    errors = dict.fromkeys(STRENGTHS, 0.0)
    for index, unseen in enumerate(layer.parts):
        seen = InputMoments.total(layer.parts[:index] + layer.parts[index + 1 :])
        target = layer.residual(layer.weight, unseen)
        for strength in STRENGTHS:
            change = regression(layer, seen, strength)
            size = len(change)
            # Of the squared error |e - [r, 1] change|^2, what depends on the change.
            gain = 2 * target[:size] - unseen.gram[:size, :size] @ change
            errors[strength] -= float((change * gain).sum())
    return min(errors, key=lambda strength: errors[strength])


def regression(layer: LayerProblem, moments: InputMoments, strength: float) -> Tensor:
    """Change of weight and bias, (K + 1 or K without a bias, O), from these moments."""
    penalty = layer.penalty(strength)
    size = len(penalty)
    target = layer.residual(layer.weight, moments)
    return ridge(moments.gram[:size, :size], target[:size], penalty)


def ridge(gram: Tensor, target: Tensor, penalty: Tensor) -> Tensor:
    """Solution (unknowns, O) of (gram + diag(penalty)) solution = target."""
    return torch.linalg.solve(gram + penalty.diag(), target)
