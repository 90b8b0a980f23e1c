"""Results as CSV: one header, one row a run, never half a row."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from fullint.errors import FullintError


def append_results(path: str | os.PathLike[str], row: Mapping[str, object]) -> None:
    """Append `row` (column name to value) to the CSV file `path`, which is created with a header.

    The new file takes the old one's place once it is complete, so an interrupt leaves the old one.
    Raises FullintError where the file has other columns or cannot be read or written. Two processes
    must not append to one file at the same moment: one of the rows would be lost.
    """
    path = Path(path).resolve()  # a link keeps pointing at the file that is replaced
    columns = list(row)
    existing = check_columns(path, columns)
    if existing:
        text = existing if existing.endswith("\n") else existing + "\n"
    else:
        text = _csv_line(columns)
    try:
        _replace(path, text + _csv_line(list(row.values())))
    except OSError as error:
        raise FullintError(
            f"results file {str(path)!r} cannot be written: {_reason(error)}"
        ) from error


def check_columns(path: str | os.PathLike[str], columns: Sequence[str]) -> str:
    """The text of the CSV file `path`, "" where there is none.

    Raises FullintError where the file has other columns or cannot be read.
    """
    path = Path(path).resolve()
    try:
        existing = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise FullintError(
            f"results file {str(path)!r} cannot be read: {_reason(error)}"
        ) from error
    if existing.strip():
        found = next(csv.reader(io.StringIO(existing)))
        if found != list(columns):
            raise FullintError(
                f"results file {str(path)!r} has other columns ({', '.join(found)}) than this run "
                f"({', '.join(columns)}); give a new file"
            )
        return existing
    return ""


def _csv_line(values: list[object] | list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8 text"
