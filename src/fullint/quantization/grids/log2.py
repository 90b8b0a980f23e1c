"""log2: attention weights as sixteen powers of two."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Log2Grid:
    """Attention weights 2^-code, code in 0..15 (FQ-ViT, arXiv 2111.13824, eq. 13), exactly sixteen
    values.

    Attributes:
        rounding: added to -log2(x) before it is cut off, in 1/1024: 512 rounds in the exponent, as
            the paper.
    """

    rounding: int = 512
    largest_code: int = 15

    def fake_quantize(self, values: Tensor) -> Tensor:
        """2^-code of each weight in [0, 1]."""
        exponent = -torch.log2(values.clamp_min(2.0**-40))
        codes = torch.floor(exponent + self.rounding / 1024).clamp(0, self.largest_code)
        return torch.exp2(-codes)
