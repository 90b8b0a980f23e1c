"""What a linear layer's correction needs of its inputs: sums over all tokens of all images, whose
size does not depend on how many there are.
"""

from __future__ import annotations

import torch
from torch import Tensor


class InputMoments:
    """Second moments of a layer's rounded inputs, and of what rounding took from them.

    Every token is a row: x its inputs (K) in the float model, r the rounded ones, and [r, 1] those
    with the constant input that a bias is the weight of. All float64 sums over the rows.

    Attributes:
        gram: sum of [r, 1]^T [r, 1], (K + 1, K + 1); its last entry counts the rows.
        error: sum of [r, 1]^T (x - r), (K + 1, K).
    """

    def __init__(self, inputs: int) -> None:
        self.gram = torch.zeros(inputs + 1, inputs + 1, dtype=torch.float64)
        self.error = torch.zeros(inputs + 1, inputs, dtype=torch.float64)

    @classmethod
    def total(cls, parts: list[InputMoments]) -> InputMoments:
        """Of all parts together."""
        result = cls(parts[0].error.shape[1])
        for part in parts:
            result.gram += part.gram
            result.error += part.error
        return result

    def add(self, rounded: Tensor, exact: Tensor) -> None:
        """Take in one batch, (..., K) each."""
        rows = rounded.reshape(-1, rounded.shape[-1])
        extended = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)
        self.gram += (extended.T @ extended).double()
        self.error += (extended.T @ (exact.reshape(rows.shape) - rows)).double()

    @property
    def rows(self) -> float:
        """How many tokens were seen."""
        return float(self.gram[-1, -1])

    @property
    def mean(self) -> Tensor:
        """Mean rounded input (K,)."""
        return self.gram[-1, :-1] / self.rows

    @property
    def second(self) -> Tensor:
        """Mean of r^T r, (K, K)."""
        return self.gram[:-1, :-1] / self.rows

    @property
    def covariance(self) -> Tensor:
        """Mean of (r - mean)^T (r - mean), (K, K)."""
        return self.second - torch.outer(self.mean, self.mean)
