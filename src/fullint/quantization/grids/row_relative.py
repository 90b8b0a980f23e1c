"""Row-relative: attention weights as shares of their row's largest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RowRelativeGrid:
    """Attention weights as uint8 shares of their row's largest, renormalised by the sum of the
    codes themselves.
    """

    high: int = 255

    def fake_quantize(self, values: Tensor) -> Tensor:
        """The weights that `exponentials` and `weighted_average` apply."""
        codes = torch.round(values * (self.high / values.amax(dim=-1, keepdim=True)))
        return codes / codes.sum(dim=-1, keepdim=True)
