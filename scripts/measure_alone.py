"""Measure engine and OpenVINO, each alone in a process of its own, the processes by turns.

    python scripts/measure_alone.py WORK deit_tiny_patch16_224 deit_small_patch16_224

In one process with ten runtimes each of them finds its caches used by the others; this is the other
extreme. WORK is where scripts/measure_speed.py has put its models, and OpenVINO's copies of them.
A line for each model, batch size and number of threads: least and median milliseconds, and the
ratio of the medians of OpenVINO's best and the engine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fullint.bench.peers.openvino import compiled_run
from fullint.bench.peers.peer import need
from fullint.engine import Engine
from fullint.integer.model import load_model

CANDIDATES = ("fullint", "openvino.xml", "openvino-int8.xml")
PROCESSES = 3
SECONDS = 1.5


def main() -> None:
    """All lines; or, in a process of its own, one candidate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--candidate", choices=CANDIDATES, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.candidate:
        print(json.dumps(timed(prepare(arguments))))
        return
    for model in arguments.models:
        for batch in (1, 16):
            for threads in (1, 2):
                print(line(arguments.work, model, batch, threads), flush=True)


def line(work: Path, model: str, batch: int, threads: int) -> str:
    """The times of all candidates at one point."""
    times: dict[str, list[list[float]]] = {name: [] for name in CANDIDATES}
    for _ in range(PROCESSES):
        for name, found in times.items():
            size = ["--batch", str(batch), "--threads", str(threads)]
            command = [sys.executable, __file__, str(work), model, "--candidate", name, *size]
            told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            found.append(json.loads(told.splitlines()[-1]))
    medians = {
        name: statistics.median(median for _, median in found) for name, found in times.items()
    }
    ratio = min(medians[name] for name in CANDIDATES[1:]) / medians["fullint"]
    told_times = ", ".join(
        f"{name} {min(least for least, _ in found):.2f} {medians[name]:.2f}"
        for name, found in times.items()
    )
    return f"{model}, batch {batch}, threads {threads}: {told_times}; {ratio:.2f} times"


def prepare(arguments: argparse.Namespace) -> Callable[[], object]:
    """A candidate on noise."""
    work, name = arguments.work, arguments.models[0]
    batch, threads = arguments.batch, arguments.threads
    model = load_model(work / "models" / name)
    size = (batch, *model.input_size)
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    if arguments.candidate == "fullint":
        engine = Engine(model.program, threads=threads)
        return lambda: engine.run(pixels)
    images = (pixels.transpose(0, 3, 1, 2) / np.float32(255)).astype(np.float32, order="C")
    graph = need("openvino").Core().read_model(work / "peers" / name / arguments.candidate)
    return compiled_run(graph, images, threads, "bf16")


def timed(run: Callable[[], object]) -> list[float]:
    """Least and median milliseconds of warm runs."""
    for _ in range(3):
        run()
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return [min(times), statistics.median(times)]


if __name__ == "__main__":
    main()
