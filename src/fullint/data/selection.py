"""Which images of a folder to take, where not all are wanted."""

from __future__ import annotations

import numpy as np


def evenly_spread(count: int, limit: int | None) -> list[int]:
    """At most `limit` different indices below `count`, from the first to the last, in order.

    A folder's images are sorted by class, so its first ones would be of a few classes only.
    """
    if limit is None or limit >= count:
        return list(range(count))
    return [int(index) for index in np.linspace(0, count - 1, limit).round()]
