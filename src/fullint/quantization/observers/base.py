"""What all observers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

from fullint.errors import FullintError

OBSERVERS: dict[str, type[Observer]] = {}
ObserverType = TypeVar("ObserverType", bound="type[Observer]")


class Observer(ABC):
    """Estimates a range for each group of elements.

    Args:
        num_bits, symmetric: of the grid the range is for.
        through: function that the quantized values go through next; error-minimising observers
            measure the error after it.

    Attributes:
        passes: how many times the observer must see the data.
    """

    passes = 1

    def __init__(
        self, *, num_bits: int, symmetric: bool, through: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self.num_bits = num_bits
        self.symmetric = symmetric
        self.through = through

    @abstractmethod
    def observe(self, values: Tensor, pass_index: int) -> None:
        """Take in one batch, (groups, elements)."""

    @abstractmethod
    def range(self) -> tuple[Tensor, Tensor]:
        """Lower and upper ends, (groups,) each."""


def register(name: str) -> Callable[[ObserverType], ObserverType]:
    """Make an observer known under `name`."""

    def decorate(observer: ObserverType) -> ObserverType:
        OBSERVERS[name] = observer
        return observer

    return decorate


def make_observer(
    name: str,
    *,
    num_bits: int,
    symmetric: bool,
    through: Callable[[Tensor], Tensor] | None = None,
) -> Observer:
    """A fresh observer; FullintError names the known ones if `name` is not among them."""
    if name not in OBSERVERS:
        raise FullintError(f"unknown observer '{name}'; known are {', '.join(sorted(OBSERVERS))}")
    return OBSERVERS[name](num_bits=num_bits, symmetric=symmetric, through=through)
