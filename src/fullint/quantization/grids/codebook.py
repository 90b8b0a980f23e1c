"""Codebooks: a few codes of a finer uniform grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fullint.quantization.grids.uniform import UniformGrid


@dataclass(frozen=True)
class CodebookGrid:
    """Values rounded to `carrier`, then to the nearest of its codes that the book holds.

    The integer program does the same, the second step by a table, so that products see the
    carrier's numbers.

    Attributes:
        carrier: of one scale.
        book: some of its codes, int64, ascending.
    """

    carrier: UniformGrid
    book: Tensor

    @property
    def table(self) -> Tensor:
        """Code in the book for every code of the carrier, int64."""
        codes = torch.arange(self.carrier.low, self.carrier.high + 1)
        return self.book[torch.bucketize(2 * codes, self.book[:-1] + self.book[1:], right=True)]

    def fake_quantize(self, values: Tensor) -> Tensor:
        """Values on the grid."""
        codes = self.carrier.quantize(values).long() - self.carrier.low
        return self.carrier.dequantize(self.table[codes].to(values.dtype))
