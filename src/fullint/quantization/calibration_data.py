"""What the steps of a recipe see of the calibration images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class CalibrationData:
    """Calibration images, and where a step tells how far it is.

    Attributes:
        batches: called for every pass over the images; yields float pixel tensors (batch, height,
            width, channels), 0 to 255.
        images: how many there are, at most.
        report: called as report(done, total), in units of the step's choice.
    """

    batches: Callable[[], Iterable[Tensor]]
    images: int
    report: Report = lambda done, total: None

    def reported_batches(self, passes: int = 1, pass_index: int = 0) -> Iterable[Tensor]:
        """Batches of one pass out of `passes`, reported image by image."""
        done = pass_index * self.images
        for pixels in self.batches():
            yield pixels
            done += len(pixels)
            self.report(min(done, passes * self.images), passes * self.images)
