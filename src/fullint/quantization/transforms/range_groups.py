"""Groups of channels of alike ranges, found by expectation maximization (IGQ-ViT).

IGQ-ViT (Moon et al., CVPR 2024, arXiv 2404.00928, section 3.2) gives a layer a few quantizers of
lower and upper end (l_g, u_g), fitted by expectation maximization, and a channel to the one of the
nearest range, anew for every image at run time. A program whose constants are its scales cannot:
the groups here are found once, from the ranges on the calibration images, and serve every image.
No code of it is public; the distance here is (max_c - u_g)^2 + (min_c - l_g)^2, and the means of
the M-step are what makes its sum least.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOST_ROUNDS = 100


def grouped_ranges(low: Tensor, high: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Ranges (channels,), float64, of which at most `groups` differ: every channel's is that of its
    group. A range that is a point stays, in no group.

    E-step: each channel to the group of the nearest range. M-step: each group's ends become the
    means of its channels', the least sum of squared distances. No random start: the first group is
    the widest channel, every further one the channel farthest from those before it, so that groups
    that lie farther apart than they are wide are found whatever their sizes.
    """
    varies = high > low
    if not varies.any():
        return low, high
    ranges = torch.stack([low[varies], high[varies]], dim=1)
    centers = _farthest_first(ranges, groups)
    group = _nearest(ranges, centers)
    for _ in range(MOST_ROUNDS):
        centers = _means(ranges, group, centers)
        before, group = group, _nearest(ranges, centers)
        if torch.equal(before, group):
            break
    found_low, found_high = centers[group].T
    return low.masked_scatter(varies, found_low), high.masked_scatter(varies, found_high)


def _farthest_first(ranges: Tensor, groups: int) -> Tensor:
    """Centers (at most groups, 2), all different."""
    chosen = [int((ranges[:, 1] - ranges[:, 0]).argmax())]
    while len(chosen) < groups:
        distance = _squared_distances(ranges, ranges[chosen]).amin(dim=1)
        if distance.max() == 0:
            break
        chosen.append(int(distance.argmax()))
    return ranges[chosen]


def _nearest(ranges: Tensor, centers: Tensor) -> Tensor:
    return _squared_distances(ranges, centers).argmin(dim=1)


def _squared_distances(ranges: Tensor, centers: Tensor) -> Tensor:
    return (ranges[:, None] - centers).square().sum(dim=2)


def _means(ranges: Tensor, group: Tensor, centers: Tensor) -> Tensor:
    """Of every group; one that has lost its channels stays where it was."""
    members = torch.bincount(group, minlength=len(centers))[:, None]
    sums = torch.zeros_like(centers).index_add_(0, group, ranges)
    return torch.where(members > 0, sums / members.clamp_min(1), centers)
