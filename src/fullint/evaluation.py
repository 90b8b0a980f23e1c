"""How good an integer model is on labelled images, and how close to its float reference.

Agreement (how often both models put the same class first) shows small damage long before accuracy
does: most images that change their class change it from one wrong class to another, or as often to
the right class as away from it. Every figure comes with its count and standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fullint.data.loader import ImageLoader
from fullint.errors import FullintError

Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]
Predict = Callable[[NDArray[np.uint8]], NDArray[Any]]


class Rate(NamedTuple):
    """A share of the images and its standard error, both in percent."""

    percent: float
    standard_error: float

    def __str__(self) -> str:
        return f"{self.percent:.2f} (± {self.standard_error:.2f})"


@dataclass(frozen=True)
class Comparison:
    """Counts of images, integer model against float reference on the same images.

    ``top1``, ``top5``: right by the reference. ``agreeing``: same first class. ``gained``: right by
    the integer model only; ``lost``: right by the reference only (of the first classes).
    """

    top1: int
    top5: int
    agreeing: int
    gained: int
    lost: int

    def __add__(self, other: Comparison) -> Comparison:
        return Comparison(
            self.top1 + other.top1,
            self.top5 + other.top5,
            self.agreeing + other.agreeing,
            self.gained + other.gained,
            self.lost + other.lost,
        )


@dataclass(frozen=True)
class Evaluation:
    """Counts over a set of images; evaluations of disjoint sets add up.

    ``images``: evaluated. ``top1``, ``top5``: with the right class first, or among the first
    ``k`` = min(5, classes). ``comparison``: with a reference, if there was one. ``skipped``: images
    that could not be decoded, in no other count.
    """

    images: int
    top1: int
    top5: int
    k: int
    comparison: Comparison | None = None
    skipped: int = 0

    @classmethod
    def of_batch(
        cls, logits: NDArray[Any], labels: ArrayLike, reference: NDArray[Any] | None = None
    ) -> Evaluation:
        """Of logits (B, classes) and class indices (B), and the reference's logits (B, classes).

        Equal logits rank by class index, lowest first, so the result is the same everywhere.
        """
        label_indices = np.asarray(labels)
        ranks = ranks_of_labels(logits, label_indices)
        k = min(5, logits.shape[1])
        right = ranks == 0
        comparison = None
        if reference is not None:
            if reference.shape != logits.shape:
                raise FullintError(
                    f"the reference gives {reference.shape[-1]} logits an image, the integer model "
                    f"{logits.shape[-1]}; they are not the same model"
                )
            reference_ranks = ranks_of_labels(reference, label_indices)
            reference_right = reference_ranks == 0
            comparison = Comparison(
                top1=_count(reference_right),
                top5=_count(reference_ranks < k),
                agreeing=_count(logits.argmax(axis=1) == reference.argmax(axis=1)),
                gained=_count(right & ~reference_right),
                lost=_count(reference_right & ~right),
            )
        return cls(len(ranks), _count(right), _count(ranks < k), k, comparison)

    def __add__(self, other: Evaluation) -> Evaluation:
        if self.k != other.k or (self.comparison is None) != (other.comparison is None):
            raise ValueError("evaluations of different kinds cannot be added")
        comparison = None
        if self.comparison is not None and other.comparison is not None:
            comparison = self.comparison + other.comparison
        return Evaluation(
            self.images + other.images,
            self.top1 + other.top1,
            self.top5 + other.top5,
            self.k,
            comparison,
            self.skipped + other.skipped,
        )

    def rate(self, count: int) -> Rate:
        """`count` of these images, with the binomial standard error sqrt(p (1 - p) / n)."""
        share = count / self.images
        return Rate(100 * share, 100 * math.sqrt(share * (1 - share) / self.images))

    def top1_difference(self) -> Rate | None:
        """Top-1 of the integer model minus the reference's, in points, and its standard error.

        Both saw the same images, so only those that one of them got right count: a difference is
        +1, 0 or -1 an image, and the variance of its mean far below that of two separate samples.
        """
        if self.comparison is None:
            return None
        gained, lost = self.comparison.gained, self.comparison.lost
        mean = (gained - lost) / self.images
        variance = (gained + lost) / self.images - mean**2
        return Rate(100 * mean, 100 * math.sqrt(max(0.0, variance) / self.images))

    def __str__(self) -> str:
        lines = [self._accuracy_line("integer", self.top1, self.top5)]
        difference = self.top1_difference()
        if self.comparison is not None and difference is not None:
            lines.append(self._accuracy_line("float", self.comparison.top1, self.comparison.top5))
            lines.append(
                f"agreement {self.rate(self.comparison.agreeing)} "
                f"top-1 difference {difference.percent:+.2f} (± {difference.standard_error:.2f})"
            )
        if self.skipped:
            lines.append(f"skipped {self.skipped} images that could not be decoded")
        return "\n".join(lines)

    def _accuracy_line(self, model: str, top1: int, top5: int) -> str:
        accuracy = f"Acc@1 {self.rate(top1)} Acc@{self.k} {self.rate(top5)}"
        return f"{model:<7} {accuracy} n={self.images}"

    def row(self) -> dict[str, int | float | str]:
        """One row of a results file, in percent; the columns do not depend on the reference."""
        rates: dict[str, Rate | None] = {
            "top1": self.rate(self.top1),
            "top5": self.rate(self.top5),
            **dict.fromkeys(("float_top1", "float_top5", "agreement")),
            "top1_difference": self.top1_difference(),
        }
        if self.comparison is not None:
            rates["float_top1"] = self.rate(self.comparison.top1)
            rates["float_top5"] = self.rate(self.comparison.top5)
            rates["agreement"] = self.rate(self.comparison.agreeing)
        row: dict[str, int | float | str] = {"images": self.images, "skipped": self.skipped}
        for name, rate in rates.items():
            row[name] = "" if rate is None else round(rate.percent, 4)
            row[f"{name}_standard_error"] = "" if rate is None else round(rate.standard_error, 4)
        return row


def evaluate(
    predict: Predict,
    batches: Iterable[Batch],
    labels: Sequence[int] | NDArray[np.int64],
    reference: Predict | None = None,
    progress: Callable[[int], object] | None = None,
) -> Evaluation:
    """Run a model, and the float reference if given, over batches of images.

    `predict` and `reference` map uint8 pixels (B, H, W, C) to logits (B, classes). `batches` gives
    pixels with the indices (B) of their images into `labels`, the class index of every image; an
    `ImageLoader` does, and its skipped images are counted. `progress` is called after each batch
    with the number of images done. Nothing is kept but counts. Raises FullintError where there is
    no image, a label is no class of the model, or a model returns NaN.
    """
    all_labels = np.asarray(labels)
    total: Evaluation | None = None
    for pixels, indices in batches:
        logits = predict(pixels)
        reference_logits = None if reference is None else reference(pixels)
        batch = Evaluation.of_batch(logits, all_labels[indices], reference_logits)
        total = batch if total is None else total + batch
        if progress is not None:
            progress(total.images)
    if total is None:
        raise FullintError("there are no images to evaluate on")
    return replace(total, skipped=len(batches.skipped) if isinstance(batches, ImageLoader) else 0)


def ranks_of_labels(logits: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    """Rank (B), from 0, of each image's label (B) among its logits (B, classes).

    The number of larger logits plus that of equal logits of lower class index.
    """
    if np.issubdtype(logits.dtype, np.floating) and np.isnan(logits).any():
        raise FullintError("the model returns NaN as a logit, so its classes have no order")
    classes = logits.shape[1]
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise FullintError(
            f"the labels reach from {labels.min()} to {labels.max()}, "
            f"but the model has the classes 0 to {classes - 1}"
        )
    own = np.take_along_axis(logits, labels[:, np.newaxis], axis=1)
    equal_and_before = (logits == own) & (np.arange(classes) < labels[:, np.newaxis])
    ranks: NDArray[np.int64] = np.count_nonzero((logits > own) | equal_and_before, axis=1)
    return ranks


def _count(mask: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))
