"""What all quantizers share."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from fullint.quantization.grids import Grid


class Quantizer(ABC):
    """Chooses a grid from calibration tensors.

    Attributes:
        passes: how many times it must see the data; 0 if its grid is fixed.
    """

    passes = 0

    def observe(self, values: Tensor, pass_index: int) -> None:  # noqa: B027  (nothing to do is a fine default)
        """Take in one batch of the tensor."""

    @abstractmethod
    def freeze(self) -> Grid:
        """The grid chosen."""
