"""Interleaved timing: all candidates share every disturbance of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

Run = Callable[[], object]

# Runtimes' threads may spin for a while after a run; they must not slow the next candidate.
_PAUSE = 0.005


def measure_by_turns(
    runs: Mapping[str, Run],
    *,
    rounds: int,
    turn_seconds: float = 0.05,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[float]]:
    """Seconds of single runs, by name.

    In every round each candidate has one turn: a run that is not counted, then runs for about
    `turn_seconds`, at least one. The order changes from round to round.
    """
    for run in runs.values():
        run()
    samples: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for round_ in range(rounds):
        start = round_ % len(names)
        for name in names[start:] + names[:start]:
            time.sleep(_PAUSE)
            samples[name] += _turn(runs[name], turn_seconds)
        if progress is not None:
            progress(round_ + 1, rounds)
    return samples


def _turn(run: Run, seconds: float) -> list[float]:
    run()
    times: list[float] = []
    while not times or sum(times) < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times
