"""Samples of what enters and leaves every matrix product, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
import torch.fx
from torch import Tensor

from fullint.data.selection import evenly_spread
from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import GraphRunner
from fullint.quantization.search.products import Operand, Product
from fullint.quantization.transforms.constants import parameter


@dataclass(frozen=True)
class SamplingPlan:
    """How much to look at; memory does not grow with the number of calibration images.

    Attributes:
        images: look at so many, evenly spread, None for all.
        rows: of a linear layer's inputs, over all images; None for all rows of the images.
        attention_images: of which attention products are sampled, None for all.
        attention_windows: windows an image, None for all.
        attention_rows: rows of the left operand (queries) a window, None for all; the right one is
            always whole.
        chunk: images run at a time.
    """

    images: int | None = None
    rows: int | None = 1024
    attention_images: int | None = 12
    attention_windows: int | None = 4
    attention_rows: int | None = 48
    chunk: int = 16


@dataclass
class SampledProduct:
    """A product with float values of its operands, in steps of their sources (see Operand.factor).

    Attributes:
        left: (rows, K), or (windows, heads, M, K).
        right: the weight (O, K) as it is in the model, or (windows, heads, K, N).
        bias: (O,) or None.
        importance: weight of every element of the output's squared error, of its shape, or None.
    """

    product: Product
    left: Tensor
    right: Tensor
    bias: Tensor | None = None
    importance: Tensor | None = None

    def output(self, left: Tensor, right: Tensor) -> Tensor:
        """(rows, O), or (windows, heads, M, N), from operands like `left` and `right`."""
        if self.product.is_linear:
            factor = self.product.left.factor
            scaled = left if factor == 1 else left * factor
            return torch.nn.functional.linear(scaled, right, self.bias)
        factor = self.product.left.factor * self.product.right.factor
        result = torch.matmul(left, right)
        return result if factor == 1 else result * factor

    @property
    def values(self) -> tuple[Tensor, Tensor]:
        """Of both operands."""
        return self.left, self.right


@dataclass
class Picker:
    """Draws the same rows of every image whenever it is asked."""

    plan: SamplingPlan
    images: int
    linear: set[int] = field(init=False)
    attention: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.linear = self._spread(self.plan.rows)
        self.attention = self._spread(self.plan.attention_images)

    @property
    def chosen_images(self) -> list[int]:
        """Numbers of the images that are looked at."""
        return evenly_spread(self.images, self.plan.images)

    def _spread(self, limit: int | None) -> set[int]:
        chosen = self.chosen_images
        return {chosen[position] for position in evenly_spread(len(chosen), limit)}

    def _rows_of(self, ordinal: int) -> int | None:
        if self.plan.rows is None:
            return None
        return -(-self.plan.rows // len(self.linear)) if ordinal in self.linear else 0

    def pick(self, product: Product, side: str, value: Tensor, ordinals: list[int]) -> Tensor:
        """The sample of a "left" or "right" operand or the "output" of images `ordinals`."""
        node = product.node if side == "output" else getattr(product, side).node
        arranged = product.by_image(value, len(ordinals), node.meta["shape"])
        if product.is_linear:
            rows = [
                image[_drawn(ordinal, image.shape[0], self._rows_of(ordinal))]
                for ordinal, image in zip(ordinals, arranged, strict=True)
            ]
            return torch.cat(rows)
        windows = []
        for ordinal, image in zip(ordinals, arranged, strict=True):
            limit = self.plan.attention_windows if ordinal in self.attention else 0
            kept = image[_drawn(ordinal, image.shape[0], limit)]
            if side != "right":
                kept = kept[:, :, _drawn(ordinal, kept.shape[2], self.plan.attention_rows)]
            windows.append(kept)
        return torch.cat(windows)

    def chunks(self, data: CalibrationData) -> Iterator[tuple[list[int], Tensor]]:
        """The chosen images, in chunks, with their numbers."""
        chosen, first = set(self.chosen_images), 0
        for pixels in data.reported_batches():
            wanted = [index for index in range(len(pixels)) if first + index in chosen]
            for start in range(0, len(wanted), self.plan.chunk):
                part = wanted[start : start + self.plan.chunk]
                yield [first + index for index in part], pixels[part]
            first += len(pixels)


def _drawn(ordinal: int, available: int, wanted: int | None) -> Tensor:
    if wanted is None or wanted >= available:
        return torch.arange(available)
    generator = torch.Generator().manual_seed(ordinal)
    return torch.randperm(available, generator=generator)[:wanted].sort().values


def sample_products(
    module: torch.fx.GraphModule,
    products: list[Product],
    data: CalibrationData,
    picker: Picker,
    kept_whole: Mapping[torch.fx.Node, list[Tensor]],
) -> dict[torch.fx.Node, SampledProduct]:
    """Float operands of every product, by product node, in one pass over the images.

    The values of the nodes in `kept_whole` are appended to their lists, chunk by chunk.
    """
    readers: dict[torch.fx.Node, list[tuple[Product, str, Operand]]] = {}
    for product in products:
        readers.setdefault(product.left.node, []).append((product, "left", product.left))
        if not product.is_linear:
            readers.setdefault(product.right.node, []).append((product, "right", product.right))
    parts: dict[tuple[torch.fx.Node, str], list[Tensor]] = {}
    ordinals: list[int] = []

    def hook(node: torch.fx.Node, value: Tensor) -> Tensor:
        for product, side, operand in readers.get(node, []):
            picked = picker.pick(product, side, value, ordinals) / operand.factor
            parts.setdefault((product.node, side), []).append(picked)
        if node in kept_whole:
            kept_whole[node].append(value)
        return value

    runner = GraphRunner(module, hook)
    for ordinals, pixels in picker.chunks(data):  # noqa: B007  (the hook reads it)
        with torch.no_grad():
            runner.run(pixels)
    return {product.node: _assemble(module, product, parts) for product in products}


def _assemble(
    module: torch.fx.GraphModule,
    product: Product,
    parts: dict[tuple[torch.fx.Node, str], list[Tensor]],
) -> SampledProduct:
    left = torch.cat(parts.pop((product.node, "left")))
    if not product.is_linear:
        return SampledProduct(product, left, torch.cat(parts.pop((product.node, "right"))))
    weight, bias = (
        None if argument is None else parameter(module, argument).detach()
        for argument in product.node.args[1:3]
    )
    assert weight is not None
    return SampledProduct(product, left, weight, bias)
