"""The unit of every correction: one linear layer, what it should give and what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.fx
from torch import Tensor

from fullint.capture import normal_form
from fullint.quantization.correction.moments import InputMoments
from fullint.quantization.grids import UniformGrid
from fullint.recipes.declaration import Declaration
from fullint.recipes.schema import UniformConfig


@dataclass(frozen=True)
class SharedLayer:
    """The linear nodes that apply one weight, usually one.

    Attributes:
        weight: the constant they share.
        bias: the constant they add, if it is theirs alone; else None, and it stays as it is.
        readers: the linear nodes, in the order they run.
    """

    weight: torch.fx.Node
    bias: torch.fx.Node | None
    readers: tuple[torch.fx.Node, ...]

    @property
    def constants(self) -> list[torch.fx.Node]:
        """What corrections change."""
        return [self.weight] if self.bias is None else [self.weight, self.bias]


def linear_layers(graph: torch.fx.Graph) -> list[SharedLayer]:
    """Every linear layer, in the order in which their last readers run."""
    readers: dict[torch.fx.Node, list[torch.fx.Node]] = {}
    for node in graph.nodes:
        if node.target is normal_form.linear:
            # Taken out and put back, a weight that is read again moves to the end.
            readers[node.args[1]] = [*readers.pop(node.args[1], []), node]
    return [
        SharedLayer(weight, _own_bias(nodes), tuple(nodes)) for weight, nodes in readers.items()
    ]


def _own_bias(readers: list[torch.fx.Node]) -> torch.fx.Node | None:
    bias = readers[0].args[2]
    if isinstance(bias, torch.fx.Node) and set(bias.users) == set(readers):
        return bias
    return None


@dataclass
class LayerProblem:
    """A layer to correct. Corrections replace `weight`, `bias` and `grid`.

    Attributes:
        weight: (O, K) float64, as it is now; after GPTQ on its grid.
        bias: (O,) float64, or None if there is none to change.
        grid: of the weight.
        reference_weight, reference_bias: of the float model, whose outputs are the target.
        parts: moments of the inputs in disjoint parts of the images.
        config: how the recipe declares weight grids.
    """

    weight: Tensor
    bias: Tensor | None
    grid: UniformGrid
    reference_weight: Tensor
    reference_bias: Tensor | None
    parts: list[InputMoments]
    config: UniformConfig

    @cached_property
    def moments(self) -> InputMoments:
        """Of the inputs in all images."""
        return InputMoments.total(self.parts)

    def residual(self, weight: Tensor, moments: InputMoments) -> Tensor:
        """Sum over the rows of [r, 1]^T e, (K + 1, O), where e is what the outputs lack of the
        float model's if `weight` were the weight.
        """
        missing = torch.cat([self.reference_weight - weight, self._missing_bias()], dim=1)
        return moments.error @ self.reference_weight.T + moments.gram @ missing.T

    def _missing_bias(self) -> Tensor:
        if self.bias is None or self.reference_bias is None:
            return self.weight.new_zeros(len(self.weight), 1)
        return (self.reference_bias - self.bias)[:, None]

    @property
    def second_moments(self) -> Tensor:
        """What a change d of the weight costs: d H d^T is the mean square of the change of an
        output, (K, K). About the mean if there is a bias, which then takes the mean's change.
        """
        return self.moments.second if self.bias is None else self.moments.covariance

    def penalty(self, tokens: float) -> Tensor:
        """Ridge penalty of each weight of a row, and of its bias if there is one: for weights
        `tokens` times the inputs' mean square (one if that is zero), for the bias nothing.
        """
        mean_square = float(self.moments.second.diagonal().mean())
        penalty = torch.full_like(self.moments.mean, tokens * mean_square or 1.0)
        return penalty if self.bias is None else torch.cat([penalty, penalty.new_zeros(1)])

    def match_means(self, weight: Tensor) -> None:
        """Choose the bias, if there is one, for which the outputs' means would be the float model's
        if `weight` were the weight.
        """
        if self.bias is not None:
            self.bias = self.bias + self.residual(weight, self.moments)[-1] / self.moments.rows

    def replace_weight(self, weight: Tensor) -> None:
        """Change the weight; the bias keeps the outputs' means."""
        if self.bias is not None:
            self.bias = self.bias + (self.weight - weight) @ self.moments.mean
        self.weight = weight


Correction = Callable[[LayerProblem, Any], None]
CORRECTIONS: dict[type[Declaration], Correction] = {}


def corrects(config_type: type[Declaration]) -> Callable[[Correction], Correction]:
    """Register the function that carries out declarations of this type on one layer."""

    def decorate(correction: Correction) -> Correction:
        CORRECTIONS[config_type] = correction
        return correction

    return decorate
