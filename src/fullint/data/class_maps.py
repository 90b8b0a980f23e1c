"""From the name of an image's folder to the index of its class.

A folder of images seldom holds all classes of a model, so an index comes from the folder's name
and never from its rank, unless nothing but the folders is known and their number fits.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullint.errors import FullintError


@dataclass(frozen=True)
class ClassMap:
    """Class index of each folder name.

    ``index_of``: folder name to class index, from 0 to num_classes - 1; names may share an index.
    ``num_classes``: of the model. ``origin``: where the map comes from, in words, for messages.
    """

    index_of: Mapping[str, int]
    num_classes: int
    origin: str

    @classmethod
    def from_ids(cls, ids: Sequence[str], origin: str = "the model's class ids") -> ClassMap:
        """From the class ids of a model (for ImageNet: WordNet ids) in the order of its outputs."""
        index_of = {name: index for index, name in enumerate(ids)}
        if len(index_of) < len(ids):
            repeated = next(name for index, name in enumerate(ids) if index_of[name] != index)
            raise FullintError(f"{origin} name the class {repeated!r} twice")
        return cls(index_of, len(ids), origin)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], num_classes: int) -> ClassMap:
        """From a class-map file.

        ``.json``: an object ``{"folder name": index}``. Anything else is text: one class id a line
        in the order of the classes, or, if every line ends in a number, ``folder name index``.
        """
        path = Path(path)
        origin = f"class map {str(path)!r}"
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise FullintError(f"{origin} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise FullintError(f"{origin} is not UTF-8 text") from error
        if path.suffix.lower() == ".json":
            pairs = _parse_json(text, origin)
        else:
            pairs = _parse_lines(text, origin, num_classes)
        for name, index in pairs:
            if type(index) is not int or not 0 <= index < num_classes:
                raise FullintError(
                    f"{origin} gives {name!r} the index {index!r}, "
                    f"expected an integer from 0 to {num_classes - 1}"
                )
        index_of = dict(pairs)
        if len(index_of) < len(pairs):
            [(repeated, _)] = Counter(name for name, _ in pairs).most_common(1)
            raise FullintError(f"{origin} names {repeated!r} twice")
        if not index_of:
            raise FullintError(f"{origin} is empty")
        return cls(index_of, num_classes, origin)

    @classmethod
    def from_folders(cls, names: Iterable[str], num_classes: int) -> ClassMap:
        """From the folder names alone: their rank, if there are exactly as many as classes.

        Sorted as timm does when it trains on folders: numbers by value, letters without case.
        """
        ordered = sorted(set(names), key=lambda name: (_natural_key(name), name))
        if len(ordered) != num_classes:
            raise FullintError(
                f"{len(ordered)} class folders cannot be matched with {num_classes} classes by "
                "their order; give --class-map FILE with the class of each folder"
            )
        origin = f"the order of the {num_classes} folder names, sorted"
        return cls({name: index for index, name in enumerate(ordered)}, num_classes, origin)

    def indices(self, labels: Sequence[str | None]) -> NDArray[np.int64]:
        """int64 class index of each label; FullintError names the first folder without a class."""
        if None in labels:
            raise FullintError(
                "some images lie outside any class folder, so their class is unknown; "
                "put each image in a sub-folder named after its class"
            )
        named = [label for label in labels if label is not None]
        folders = sorted(set(named))
        unknown = [folder for folder in folders if folder not in self.index_of]
        if unknown:
            near = difflib.get_close_matches(unknown[0], list(self.index_of), n=3)
            hint = f" (near: {', '.join(map(repr, near))})" if near else ""
            raise FullintError(
                f"folder {unknown[0]!r} is not in {self.origin}{hint}; "
                f"{len(unknown)} of {len(folders)} folders have no class, "
                "give --class-map FILE with the class of each folder"
            )
        return np.array([self.index_of[label] for label in named], np.int64)


def resolve_class_map(
    labels: Sequence[str | None],
    num_classes: int,
    class_map_file: str | os.PathLike[str] | None = None,
    class_ids: Sequence[str] | None = None,
) -> ClassMap:
    """The class map to use for images with these folder `labels`.

    The file if one is given; else the model's `class_ids`, unless not one folder is named after
    them; else the folders' order, which the map's ``origin`` then says. FullintError if none fits.
    """
    if class_map_file is not None:
        return ClassMap.from_file(class_map_file, num_classes)
    names = {label for label in labels if label is not None}
    if class_ids is not None:
        if len(class_ids) != num_classes:
            raise FullintError(f"{len(class_ids)} class ids do not fit {num_classes} classes")
        if not names.isdisjoint(class_ids) or len(names) != num_classes:
            return ClassMap.from_ids(class_ids)
    return ClassMap.from_folders(names, num_classes)


def _parse_json(text: str, origin: str) -> list[tuple[str, Any]]:
    try:
        # Pairs, not a dict: a name that occurs twice must not silently win or lose.
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise FullintError(f"{origin} is not valid JSON: {error}") from error
    if not isinstance(pairs, _Pairs):
        raise FullintError(f'{origin} must be a JSON object, {{"folder name": class index}}')
    return pairs


class _Pairs(list[tuple[str, Any]]):
    """The pairs of a JSON object (and of no JSON array)."""


def _parse_lines(text: str, origin: str, num_classes: int) -> list[tuple[str, Any]]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    matches = [re.fullmatch(r"(.*\S)\s+([0-9]{1,9})", line) for line in lines]
    if all(matches):
        return [(match[1], int(match[2])) for match in matches if match]
    if len(lines) != num_classes:
        raise FullintError(
            f"{origin} lists {len(lines)} classes, the model has {num_classes}; "
            "give one class id a line in the model's order, or lines of 'name index'"
        )
    return [(line, index) for index, line in enumerate(lines)]


def _natural_key(name: str) -> list[int | str]:
    parts = re.split(r"([0-9]+)", name.lower())
    return [int(part) if position % 2 else part for position, part in enumerate(parts)]
