"""The command line. One file a command; `app` puts them together."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `fullint` with these arguments (default: the process's) and return its exit status.

    0: done. 1: an error, told in one sentence on stderr. 2: wrong usage. 128 + the signal's number
    (Ctrl-C: 130): interrupted, with nothing half-written left behind.
    """
    code = 0
    try:
        # Imported here, where an interrupt is already told from an error: the rest takes a moment.
        from fullint.cli.interrupts import interrupts

        with interrupts.caught():
            try:
                code = _run(arguments)
            except BaseException:  # KeyboardInterrupt, or whatever a library turned it into
                if interrupts.number is None:
                    raise
            if interrupts.number is not None:
                print(interrupts.sentence(), file=sys.stderr)
                return 128 + interrupts.number
    except KeyboardInterrupt:  # before the handlers were there
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    return code


def _run(arguments: Sequence[str] | None) -> int:
    from fullint.cli.app import command

    try:
        command().main(args=None if arguments is None else list(arguments), prog_name="fullint")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0
