"""A chain of reshapes and permutes as one object, from which the shortest chain can be read.

Think of the axes of the source split into atoms, small enough that every reshape of the chain only
regroups whole atoms. Then the chain is the source's axes as groups of atoms, and the result's axes
as groups of the same atoms in another order; at most one reshape (into atoms), one permute and one
reshape (into the result) carry it out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fullint.capture.shapes import Shape


@dataclass(eq=False)
class Atom:
    """A factor of an axis; two atoms are the same only if they are the same object."""

    size: int


Step = tuple[str, Shape]


class Layout:
    """What a chain of reshapes and permutes does to a tensor of shape `source_shape`."""

    def __init__(self, source_shape: Shape) -> None:
        """The empty chain."""
        self.source = [[Atom(size)] for size in source_shape]
        self.result = [list(axis) for axis in self.source]

    def permute(self, dims: Sequence[int]) -> None:
        """Append a permute."""
        self.result = [self.result[dim] for dim in dims]

    def reshape(self, shape: Sequence[int]) -> bool:
        """Append a reshape to `shape` (without -1).

        Returns False, and does nothing, where the shape does not split the atoms evenly.
        """
        atoms = [atom for axis in self.result for atom in axis if atom.size != 1]
        result: list[list[Atom]] = []
        splits: dict[Atom, list[Atom]] = {}
        for size in shape:
            axis: list[Atom] = []
            while (filled := math.prod(atom.size for atom in axis)) < size:
                atom = atoms.pop(0)
                missing, rest = divmod(size, filled)
                if rest:
                    return False
                if atom.size > missing:
                    if atom.size % missing:
                        return False
                    outer, inner = Atom(missing), Atom(atom.size // missing)
                    origin = next((key for key, parts in splits.items() if atom in parts), atom)
                    parts = splits.setdefault(origin, [atom])
                    parts[parts.index(atom) :] = [outer, inner]
                    atom, atoms = outer, [inner, *atoms]
                axis.append(atom)
            result.append(axis)
        self.source = [
            [part for atom in axis for part in splits.get(atom, [atom])] for axis in self.source
        ]
        self.result = result
        return True

    def cut(self, dim: int, start: int, stop: int) -> tuple[int, int, int] | None:
        """Take entries start to stop - 1 of axis `dim` of the result, by slicing the source.

        Returns the axis, start and stop of the slice of the source; from then on this is the chain
        on the sliced source. Returns None, and does nothing, where those entries are not one
        contiguous part of an axis of the source.
        """
        atoms = [atom for atom in self.result[dim] if atom.size != 1]
        if len(atoms) != 1:
            return None
        for axis, group in enumerate(self.source):
            wide = [atom for atom in group if atom.size != 1]
            if wide and wide[0] is atoms[0]:
                inner = math.prod(atom.size for atom in wide[1:])
                atoms[0].size = stop - start
                return axis, start * inner, stop * inner
        return None

    @property
    def source_shape(self) -> Shape:
        """The shape of the source."""
        return tuple(math.prod(atom.size for atom in axis) for axis in self.source)

    @property
    def result_shape(self) -> Shape:
        """The shape of the result."""
        return tuple(math.prod(atom.size for atom in axis) for axis in self.result)

    def steps(self) -> list[Step]:
        """The shortest chain: at most ("reshape", shape), ("permute", dims), ("reshape", shape).

        Neighbouring atoms may move as one. Among chains of one length the one that merges the
        fewest is returned.
        """
        source_axis = {atom: axis for axis, group in enumerate(self.source) for atom in group}
        result_axis = {atom: axis for axis, group in enumerate(self.result) for atom in group}
        mergeable: list[Callable[[Atom, Atom], bool]] = [
            lambda a, b: False,
            lambda a, b: source_axis[a] == source_axis[b],
            lambda a, b: result_axis[a] == result_axis[b],
            lambda a, b: True,
        ]
        return min((self._steps(merge) for merge in mergeable), key=len)

    def _steps(self, mergeable: Callable[[Atom, Atom], bool]) -> list[Step]:
        before = [atom for axis in self.source for atom in axis if atom.size != 1]
        after = [atom for axis in self.result for atom in axis if atom.size != 1]
        successor = dict(itertools.pairwise(after))
        blocks: list[list[Atom]] = []
        for atom in before:
            if blocks and successor.get(blocks[-1][-1]) is atom and mergeable(blocks[-1][-1], atom):
                blocks[-1].append(atom)
            else:
                blocks.append([atom])
        sizes = tuple(math.prod(atom.size for atom in block) for block in blocks)
        dims = tuple(sorted(range(len(blocks)), key=lambda block: after.index(blocks[block][0])))
        if dims == tuple(range(len(dims))):
            whole: list[Step] = [("reshape", self.result_shape)]
            return whole if self.result_shape != self.source_shape else []
        steps: list[Step] = [("permute", dims)]
        if sizes != self.source_shape:
            steps.insert(0, ("reshape", sizes))
        if tuple(sizes[dim] for dim in dims) != self.result_shape:
            steps.append(("reshape", self.result_shape))
        return steps
