"""Granularity: which elements of a tensor share a scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Groups:
    """Assignment of the last axis's channels to groups; `channel_group` is None where all elements
    form one group.

    `channel_group` (channels,) int64 numbers the groups 0 .. count - 1, all of the same size.
    """

    channel_group: Tensor | None = None

    @property
    def count(self) -> int:
        """Number of groups."""
        return 1 if self.channel_group is None else int(self.channel_group.max()) + 1

    def split(self, values: Tensor) -> Tensor:
        """Elements by group: (..., channels) to (groups, elements)."""
        if self.channel_group is None:
            return values.reshape(1, -1)
        by_channel = values.reshape(-1, values.shape[-1]).T
        order = torch.argsort(self.channel_group, stable=True)
        return by_channel[order].reshape(self.count, -1)

    def broadcast(self, per_group: Tensor) -> Tensor:
        """One value a group (groups,) to a tensor that broadcasts against the original: a scalar or
        (channels,).
        """
        if self.channel_group is None:
            return per_group.reshape(())
        return per_group[self.channel_group]


TENSOR = Groups()


@dataclass(frozen=True)
class TokenPositions:
    """A group for each token position of a tensor (..., *shape, channels), the same in every image:
    what FIMA-Q's code (Wu et al., CVPR 2025) calls token-channel-wise, scales (1, tokens, 1).

    `shape` are the axes that number the positions: (tokens,), or (height, width).
    """

    shape: tuple[int, ...]

    def split(self, values: Tensor) -> Tensor:
        """Elements by position: (..., *shape, channels) to (positions, elements)."""
        positions = math.prod(self.shape)
        by_image = values.reshape(-1, positions, values.shape[-1])
        return by_image.transpose(0, 1).reshape(positions, -1)

    def broadcast(self, per_group: Tensor) -> Tensor:
        """One value a position (positions,) to (*shape, 1)."""
        return per_group.reshape(*self.shape, 1)


def block_edges(size: int, count: int) -> list[int]:
    """Where `count` nearly equal blocks of `size` elements begin, and `size`: count + 1 numbers.

    Where there are fewer elements than that, every element is a block.
    """
    count = min(count, size)
    return [index * size // count for index in range(count + 1)]
