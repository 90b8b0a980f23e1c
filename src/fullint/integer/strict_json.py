"""JSON from a file that nobody vouches for: parsed without its traps, read by typed accessors.

Every accessor takes `where`, the place in the document, and raises FullintError("<where> is ...").
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from typing import Any

import numpy as np

from fullint.errors import FullintError

MAXIMUM_BYTES = 8 << 20
MAXIMUM_NAME = 512
_MAXIMUM_DEPTH = 16
_INT64 = range(-(2**63), 2**63)


def parse(data: bytes) -> dict[str, Any]:
    """The JSON object that `data` holds.

    Refused besides malformed text: more than MAXIMUM_BYTES, keys that occur twice (two readers
    could see two values), NaN and infinities (also 1e999), integers beyond 64 bits, and nesting so
    deep that the parser would run out of stack.
    """
    if len(data) > MAXIMUM_BYTES:
        raise FullintError(f"it is larger than {MAXIMUM_BYTES >> 20} MiB")
    try:
        document = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_int=_int64,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except UnicodeDecodeError:
        raise FullintError("it is not UTF-8 text") from None
    except RecursionError:
        raise FullintError("it is nested too deeply") from None
    except ValueError as error:
        raise FullintError(f"it is not valid JSON: {error}") from None
    return mapping(document, "the document")


def dump(value: object, expanded_levels: int, indent: str = "") -> str:
    """JSON text with a line for each entry of the outer levels: short, yet easy to compare."""
    if expanded_levels == 0 or not value or not isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    inner = indent + " "
    if isinstance(value, dict):
        opening, closing = "{", "}"
        entries = [
            f"{json.dumps(key, ensure_ascii=False)}: {dump(item, expanded_levels - 1, inner)}"
            for key, item in value.items()
        ]
    else:
        opening, closing = "[", "]"
        entries = [dump(item, expanded_levels - 1, inner) for item in value]
    body = f",\n{inner}".join(entries)
    return f"{opening}\n{inner}{body}\n{indent}{closing}"


def fields(value: object, where: str, names: Iterable[str]) -> list[Any]:
    """The values of exactly these keys, in this order."""
    entries = mapping(value, where)
    names = list(names)
    for name in names:
        if name not in entries:
            raise FullintError(f"{where} lacks the field '{name}'")
    if unknown := sorted(set(entries) - set(names)):
        raise FullintError(f"{where} has the unknown field {brief(unknown[0])}")
    return [entries[name] for name in names]


def mapping(value: object, where: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise FullintError(f"{where} is {brief(value)}, expected an object")
    return value


def sequence(value: object, where: str) -> list[Any]:
    """A JSON array."""
    if not isinstance(value, list):
        raise FullintError(f"{where} is {brief(value)}, expected an array")
    return value


def integer(value: object, where: str, low: int, high: int) -> int:
    """An integer from low to high; neither 1.0 nor true is one."""
    if type(value) is not int or not low <= value <= high:
        raise FullintError(f"{where} is {brief(value)}, expected an integer from {low} to {high}")
    return value


def text(value: object, where: str) -> str:
    """A short string without characters that would break a line or move a terminal's cursor."""
    if not isinstance(value, str) or len(value) > MAXIMUM_NAME or not value.isprintable():
        raise FullintError(f"{where} is {brief(value)}, expected a short printable text")
    return value


def sha256(value: object, where: str) -> str:
    """64 lower-case hexadecimal digits."""
    digest = text(value, where)
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise FullintError(f"{where} is {brief(value)}, expected 64 hexadecimal digits")
    return digest


def plain(value: object, where: str, depth: int = 0) -> Any:
    """`value` as JSON gives it back.

    Numpy scalars, tuples and dataclasses become Python's own types, NaN and infinities None.
    Characters that a terminal would obey and not print become U+FFFD, so all text can be shown.
    """
    if depth > _MAXIMUM_DEPTH:
        raise FullintError(f"{where} is nested too deeply")
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclass_fields(value)}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        if value.isprintable():
            return str(value)
        return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise FullintError(f"{where} has a key that is no text")
        return {plain(key, where): plain(item, where, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, where, depth + 1) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and int(value) in _INT64:
        return int(value)
    raise FullintError(f"{where} holds {brief(value)}, which cannot be saved")


def brief(value: object) -> str:
    """A value for an error message: short, on one line, in printable characters."""
    scalar = value is None or isinstance(value, (str, int, float))
    written = ascii(value) if scalar else f"a {type(value).__name__}"
    return written if len(written) <= 60 else f"{written[:57]}..."


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice")
    return result


def _int64(digits: str) -> int:
    value = int(digits)
    if value not in _INT64:
        raise ValueError("an integer exceeds 64 bits")
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    return value
