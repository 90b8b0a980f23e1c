"""Ctrl-C, SIGTERM, SIGHUP: an orderly stop at any moment, a true sentence on what is written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # the last is not everywhere
_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


class Interrupts:
    """What interrupted this process, and what it had finished by then.

    Handlers belong to the whole process, so there is one object, `interrupts`.

    Attributes:
        number: of the signal that came; None while none did. It is kept because a library may
            swallow the KeyboardInterrupt that it raises, or turn it into an error of its own.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._held = False
        self._finished: list[str] = []

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Raise KeyboardInterrupt for these signals; an ignored one (`nohup`) stays ignored."""
        self.__init__()  # type: ignore[misc]
        previous: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    previous[number] = signal.signal(number, self._handle)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextmanager
    def held_back(self, result: str | None = None) -> Iterator[None]:
        """Let a short block that writes come to its end before an interrupt takes effect.

        `result` says what is there once it has, for `sentence`.
        """
        self._stop_if_interrupted()
        self._held = True
        try:
            yield
            if result is not None:
                self._finished.append(result)
        finally:
            self._held = False
        self._stop_if_interrupted()

    def sentence(self) -> str:
        """For the user."""
        return f"interrupted; {'; '.join(self._finished) or 'nothing was written'}"

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        if not self._held:
            raise KeyboardInterrupt

    def _stop_if_interrupted(self) -> None:
        if self.number is not None:
            raise KeyboardInterrupt


interrupts = Interrupts()
