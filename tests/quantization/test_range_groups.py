"""Groups of channels by expectation maximization."""

from __future__ import annotations

import itertools

import torch

from fullint.quantization.transforms.range_groups import grouped_ranges


def tensors(*ends: list[float]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(end, dtype=torch.float64) for end in ends)


def test_two_groups_by_hand() -> None:
    """Widths of 2 and of 20; the means of (-1, 1) and (-2, 2), and of (-10, 10) and (-8, 14)."""
    low, high = grouped_ranges(*tensors([-1, -10, -2, -8], [1, 10, 2, 14]), 2)
    assert low.tolist() == [-1.5, -9, -1.5, -9]
    assert high.tolist() == [1.5, 12, 1.5, 12]


def test_one_group_is_the_mean_of_all() -> None:
    low, high = grouped_ranges(*tensors([-1, -4, -1], [2, 8, 2]), 1)
    assert low.tolist() == [-2.0] * 3 and high.tolist() == [4.0] * 3


def test_planted_groups_are_found_whatever_their_sizes() -> None:
    generator = torch.Generator().manual_seed(0)
    planted = torch.tensor([[-1.0, 1], [-1, 5], [-30, 2], [-4, 60]]).double()
    owner = torch.arange(4).repeat_interleave(torch.tensor([170, 2, 17, 3]))
    owner = owner[torch.randperm(len(owner), generator=generator)]
    noise = 0.2 * torch.rand(len(owner), 2, generator=generator, dtype=torch.float64)
    ranges = planted[owner] + noise
    low, high = grouped_ranges(*ranges.T, 4)
    for group in range(4):
        members = owner == group
        mean = ranges[members].mean(0)
        assert torch.allclose(low[members], mean[0]) and torch.allclose(high[members], mean[1])


def test_nothing_is_gained_by_moving_a_channel() -> None:
    """Where it stops, every channel has the nearest of the ranges in use, each a mean."""
    low, high = torch.randn(2, 50, generator=torch.Generator().manual_seed(1)).double()
    low, high = low - 3, high + 3
    found = torch.stack(grouped_ranges(low, high, 5), dim=1)
    used = found.unique(dim=0)
    ranges = torch.stack([low, high], dim=1)
    own = (ranges - found).norm(dim=1)
    assert torch.allclose(own, torch.cdist(ranges, used).amin(1))
    for center in used:
        assert torch.allclose(ranges[(found == center).all(1)].mean(0), center)
    assert len(used) == 5


def test_few_channels_find_the_best_of_all_partitions() -> None:
    low, high = tensors([-1, -1.2, -5, -5.5, -6, -20], [1, 1, 4, 5, 4.5, 9])
    ranges = torch.stack([low, high], dim=1)

    def cost(owners: tuple[int, ...]) -> float:
        parts = (ranges[torch.tensor(owners) == group] for group in set(owners))
        return sum(float((part - part.mean(0)).square().sum()) for part in parts)

    best = min(map(cost, itertools.product(range(3), repeat=6)))
    found = torch.stack(grouped_ranges(low, high, 3), dim=1)
    assert abs(float((ranges - found).square().sum()) - best) < 1e-9


def test_points_stay_and_alike_channels_share_one_group() -> None:
    ends = tensors([0, 3, -1, -1], [0, 3, 1, 1])
    assert all(map(torch.equal, grouped_ranges(*ends, 8), ends))
    points = tensors([0, 3], [0, 3])
    assert all(map(torch.equal, grouped_ranges(*points, 2), points))
