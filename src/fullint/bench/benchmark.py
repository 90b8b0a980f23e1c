"""The benchmark: engine and peers at every batch size and number of threads."""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fullint.bench.machine import describe_machine
from fullint.bench.peers import Peer, PeerTask, PeerUnavailableError
from fullint.bench.results import ENGINE, BenchmarkResults, Measurement
from fullint.bench.timing import Run, measure_by_turns
from fullint.engine import Engine
from fullint.errors import FullintError
from fullint.integer.model import IntegerModel

if TYPE_CHECKING:
    from torch import nn

_DISOBEYS = "it always uses all instructions of the processor"

# Called with what is being done, rounds done, rounds in all.
Progress = Callable[[str, int, int], None]


def run_benchmark(
    model: IntegerModel,
    *,
    batches: Sequence[int] = (1, 16),
    threads: Sequence[int] = (1, 2),
    rounds: int = 10,
    isa: str | None = None,
    peers: Sequence[Peer] = (),
    float_model: nn.Module | None = None,
    folder: Path | None = None,
    images: np.ndarray | None = None,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.5, 0.5, 0.5),
    progress: Progress | None = None,
) -> BenchmarkResults:
    """Time the engine and peers on the same images.

    Args:
        model: the integer model. The engine starts from uint8 pixels, preparation included.
        batches, threads: sizes to measure; every pair.
        rounds: turns each candidate gets (see `measure_by_turns`).
        isa: instruction set of the engine; default: the best. Peers must have been held to the same
            one, before they were imported (`hold_peers_to`); those that cannot be are skipped.
        peers: what to compare with (`find_peers`); they run `float_model`, in evaluation mode, and
            start from normalised float32 images: their preparation is not timed.
        folder: where peers keep the model in their own formats, of one model and image size only,
            for the next benchmark; default: nowhere.
        images: uint8 (N, height, width, channels); also what peers calibrate on. Default: noise.
        mean, std: of the peers' normalisation.

    Raises:
        FullintError: no engine, a wrong size, or peers without a float model.
    """
    for name, sizes in (("batches", batches), ("threads", threads)):
        if not sizes or min(sizes) < 1:
            raise FullintError(f"{name} must be positive numbers, not {list(sizes)}")
    if peers and float_model is None:
        raise FullintError("peers run the float model; give it, or measure without peers")
    pixels = _pixels(model, images, max(batches))
    normalised = _normalised(pixels, mean, std)
    measurements: list[Measurement] = []
    skipped = {} if isa is None else {p.name: _DISOBEYS for p in peers if not p.obeys_isa}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as temporary:
        kept = folder or Path(temporary)
        for count, batch in itertools.product(threads, batches):
            runs: dict[str, Run] = {ENGINE: _engine_run(model, pixels, batch, count, isa)}
            with ExitStack() as stack:
                for peer in peers:
                    assert float_model is not None
                    _report(progress, f"batch {batch}, threads {count}: {peer.name}", 0, rounds)
                    task = PeerTask(float_model, normalised, batch, count, kept, stack)
                    _prepare(peer, task, runs, skipped, failed)
                report = functools.partial(_report, progress, f"batch {batch}, threads {count}")
                samples = measure_by_turns(runs, rounds=rounds, progress=report)
            measurements += [
                Measurement.from_seconds(name, batch, count, seconds)
                for name, seconds in samples.items()
            ]
    measured = {measurement.name for measurement in measurements}
    single = Engine(model.program, threads=1, isa=isa)
    single.run(pixels[:1])
    profile = single.profile(np.resize(pixels, (10, *pixels.shape[1:])))
    return BenchmarkResults(
        model=model.metadata.provenance.model or "unnamed",
        machine=describe_machine(),
        isa=single.isa,
        measurements=measurements,
        settings={peer.name: peer.settings for peer in peers if peer.name in measured},
        skipped=skipped | failed,
        profile=[asdict(step) for step in profile],
    )


def _engine_run(
    model: IntegerModel, pixels: np.ndarray, batch: int, threads: int, isa: str | None
) -> Run:
    engine = Engine(model.program, threads=threads, isa=isa)
    return functools.partial(engine.run, np.resize(pixels, (batch, *pixels.shape[1:])))


def _prepare(
    peer: Peer,
    task: PeerTask,
    runs: dict[str, Run],
    skipped: dict[str, str],
    failed: dict[str, str],
) -> None:
    """A peer that failed is tried again at the next size, where it may be the best."""
    if peer.name in skipped:
        return
    try:
        run = peer.prepare(task)
        run()
        runs[peer.name] = run
    except PeerUnavailableError as error:
        skipped[peer.name] = str(error)
    except Exception as error:  # other people's code: the benchmark goes on without it
        lines = str(error).strip().splitlines() or [""]
        where = f"batch {task.batch}, threads {task.threads}"
        failed.setdefault(peer.name, f"it failed with {type(error).__name__} ({where}): {lines[0]}")


def _report(progress: Progress | None, what: str, done: int, total: int) -> None:
    if progress is not None:
        progress(what, done, total)


def _pixels(model: IntegerModel, images: np.ndarray | None, count: int) -> np.ndarray:
    shape = model.input_size
    if images is None:
        return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    if images.dtype != np.uint8 or images.shape[1:] != shape or len(images) == 0:
        raise FullintError(f"images are {images.dtype} of shape {images.shape}, not uint8 {shape}")
    return images


def _normalised(pixels: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """float32 (N, channels, height, width), as float models take them."""
    scaled = (pixels.astype(np.float32) / 255 - np.array(mean, np.float32)) / np.array(
        std, np.float32
    )
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
