"""Results of a benchmark and their file."""

from __future__ import annotations

import json
import os
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fullint.errors import FullintError
from fullint.integer.output_directory import replace_file

ENGINE = "fullint"
SCHEMA = 2  # 1 had no bytes in its profile


@dataclass(frozen=True)
class Measurement:
    """Times of one candidate at one batch size and number of threads.

    Attributes:
        name: `fullint`, or a peer's name.
        batch, threads: images a run, threads that compute.
        milliseconds: median of a run.
        low, high: 10th and 90th percentile, milliseconds.
        runs: how many runs were timed.
    """

    name: str
    batch: int
    threads: int
    milliseconds: float
    low: float
    high: float
    runs: int

    @property
    def images_per_second(self) -> float:
        """At the median."""
        return 1000 * self.batch / self.milliseconds

    @classmethod
    def from_seconds(cls, name: str, batch: int, threads: int, seconds: list[float]) -> Measurement:
        """Summary of single runs."""
        times = [1000 * value for value in seconds]
        deciles = statistics.quantiles(times, n=10) if len(times) > 1 else times * 9
        return cls(
            name, batch, threads, statistics.median(times), deciles[0], deciles[8], len(times)
        )


@dataclass(frozen=True)
class BenchmarkResults:
    """Everything a benchmark found.

    Attributes:
        model: what ran.
        machine: see `describe_machine`.
        isa: instruction set of the engine.
        measurements: one for each candidate, batch size and number of threads.
        settings: of each peer, in words; of `fullint` what it runs, where that is known.
        skipped: peers that could not run, or failed at some size, and why.
        profile: share of the engine's time by kind of operation (one thread).
    """

    model: str
    machine: dict[str, Any]
    isa: str
    measurements: list[Measurement]
    settings: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    profile: list[dict[str, Any]] = field(default_factory=list)

    def points(self) -> list[tuple[int, int]]:
        """(batch, threads), in order."""
        return sorted({(m.batch, m.threads) for m in self.measurements})

    def at(self, batch: int, threads: int) -> list[Measurement]:
        """The candidates at one point, fastest first."""
        chosen = [m for m in self.measurements if (m.batch, m.threads) == (batch, threads)]
        return sorted(chosen, key=lambda measurement: measurement.milliseconds)

    def advantage(self, batch: int, threads: int) -> float | None:
        """How many times faster the engine is than the best peer; None without peers."""
        here = self.at(batch, threads)
        own = [m.milliseconds for m in here if m.name == ENGINE]
        peers = [m.milliseconds for m in here if m.name != ENGINE]
        return min(peers) / own[0] if own and peers else None


def save_results(results: BenchmarkResults, path: str | os.PathLike[str]) -> None:
    """Write them as JSON, in one step."""
    content = {"schema": SCHEMA, **asdict(results)}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    replace_file(Path(path), text.encode())


def load_results(path: str | os.PathLike[str]) -> BenchmarkResults:
    """Read what `save_results` wrote."""
    try:
        content = json.loads(Path(path).read_text())
        if content.pop("schema") != SCHEMA:
            raise FullintError(f"'{path}' holds benchmark results of another version")
        content["measurements"] = [Measurement(**item) for item in content["measurements"]]
        return BenchmarkResults(**content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FullintError(f"'{path}' is no file of benchmark results: {error}") from error
