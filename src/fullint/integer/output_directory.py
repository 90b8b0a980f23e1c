"""Writing a directory, or a file in one, so that it is there complete or not at all."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from fullint.errors import FullintError


def check_output(
    path: str | os.PathLike[str], file_names: Iterable[str], *, overwrite: bool
) -> None:
    """Refuse an output path that is taken or that cannot be made.

    `overwrite` allows to replace a directory that holds nothing but `file_names`.
    """
    target = Path(os.path.abspath(path))
    parent = next(parent for parent in (*target.parents, target) if os.path.exists(parent))
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise FullintError(
            f"{str(path)!r} cannot be written: {str(parent)!r} is not a writable folder"
        )
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise FullintError(
            f"{str(target)!r} exists already; choose another folder or allow it to be overwritten"
        )
    if not target.is_dir():
        raise FullintError(f"{str(target)!r} is not a folder, so it is not overwritten")
    if others := sorted(set(os.listdir(target)) - set(file_names)):
        raise FullintError(
            f"{str(target)!r} holds {others[0]!r}, which is no part of a saved model, "
            "so it is not overwritten"
        )


def write_directory(
    path: str | os.PathLike[str],
    files: Mapping[str, bytes],
    *,
    overwrite: bool,
    verify: Callable[[Path], object],
) -> None:
    """Write `files` into the new directory `path`, or leave no trace after an error or interrupt.

    The files are written into a hidden directory beside it, which `verify` may refuse and which
    takes the final name in one step. With `overwrite`, a directory in the way is moved aside first,
    and back if that step fails. Missing parent directories are made.
    """
    with _readable_errors(path):
        check_output(path, files, overwrite=overwrite)
        final = Path(os.path.realpath(path))  # a link to a directory stays a link
        label = f".fullint-{os.urandom(6).hex()}"
        new, replaced = final.with_name(f"{label}.new"), final.with_name(f"{label}.old")
        missing_parents = [parent for parent in final.parents if not os.path.exists(parent)]
        settle = functools.partial(_settle, final, new, replaced, list(files), missing_parents)
        try:
            try:
                new.mkdir(parents=True)
                for name, data in files.items():
                    _write_durably(new / name, data)
                _flush_directory(new)
                verify(new)
                if overwrite and final.exists():
                    os.rename(final, replaced)
                os.rename(new, final)
                _flush_directory(final.parent)
            finally:
                settle()
        except KeyboardInterrupt:
            settle()  # once more: it may be what was interrupted
            raise


def _settle(
    final: Path,
    new: Path,
    replaced: Path,
    file_names: Iterable[str],
    missing_parents: Iterable[Path],
) -> None:
    """Remove what is left over, wherever the writing ended; may be repeated."""
    if replaced.exists() and not final.exists():
        os.rename(replaced, final)
    for leftover in (new, replaced):
        if leftover.exists():
            for name in file_names:
                (leftover / name).unlink(missing_ok=True)
            leftover.rmdir()
    for parent in missing_parents:
        with contextlib.suppress(OSError):  # it holds the result, or was not made
            parent.rmdir()


def check_file(path: Path) -> None:
    """Refuse the path of a file that `replace_file` could not write."""
    if path.is_dir():
        raise FullintError(f"{str(path)!r} is a folder, not a file")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise FullintError(
            f"{str(path)!r} cannot be written: {str(path.parent)!r} is not a writable folder"
        )


def replace_file(path: Path, data: bytes) -> None:
    """Replace one file in one step."""
    new = path.with_name(f".fullint-{os.urandom(6).hex()}.new")
    with _readable_errors(path):
        try:
            try:
                _write_durably(new, data)
                os.replace(new, path)
                _flush_directory(path.parent)
            finally:
                new.unlink(missing_ok=True)
        except KeyboardInterrupt:
            new.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _readable_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FullintError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    except ValueError as error:  # a path with a zero character
        raise FullintError(f"{str(path)!r} cannot be written: {error}") from error


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_directory(path: Path) -> None:
    """Make new names last; a system that cannot open directories has no need of it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
