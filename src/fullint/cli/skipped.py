"""Images that could not be used, named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fullint.data import SkippedImage

_NAMED = 10


def describe_skipped(skipped: Sequence[SkippedImage]) -> Iterator[str]:
    """A sentence for each of the first, one for the rest."""
    for image in skipped[:_NAMED]:
        yield f"skipped image {str(image.path)!r}: {image.reason}"
    if len(skipped) > _NAMED:
        yield f"skipped {len(skipped) - _NAMED} more images that cannot be used"
