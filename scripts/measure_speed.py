"""Measure everything the README says about speed, a point at a time.

    python scripts/measure_speed.py WORK --checkpoint W.safetensors
    python scripts/speed_report.py WORK -o benchmarks/speed

A point is one model at one batch size and number of threads, on one instruction set, in a process
of its own, engine and peers by turns. Its results go to WORK/points; a point that is there is not
measured again, so the script may be stopped and started. Models are quantized once, with ranges of
noise, to WORK/models. DeiT-tiny has the weights of --checkpoint, the others random ones: speed does
not depend on their values. `--kernels build/kernels` (dev/kernels) adds the multipliers' peak, the
limit of matrix products. `--list` says what there is to do.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fullint.bench import find_peers, hold_peers_to, run_benchmark, save_results
from fullint.engine import supported_isas
from fullint.integer.model import IntegerModel, load_model

if TYPE_CHECKING:
    from fullint.sources import ModelSource

TINY, SMALL, BASE = (f"deit_{size}_patch16_224" for size in ("tiny", "small", "base"))
SWIN = "swin_tiny_patch4_window7_224"
WITHOUT_BFLOAT16 = "*-f32,*-fp32,*-int8"
NOISE_IMAGES = 8


@dataclass(frozen=True)
class Point:
    """What one process measures; `options` are timm's."""

    model: str
    batch: int
    threads: int
    peers: str = "*"
    isa: str | None = None
    options: tuple[tuple[str, int], ...] = ()

    @property
    def variant(self) -> str:
        """Name of the model with its options."""
        return "-".join([self.model, *(f"{name}{value}" for name, value in self.options)])

    @property
    def name(self) -> str:
        """Name of the point's file."""
        return f"{self.variant}-{self.isa or 'best'}-batch{self.batch}-threads{self.threads}"

    @property
    def rounds(self) -> int:
        """Turns of each runtime: slow runs are few."""
        return max(3, 10 // (2 if self.batch > 1 else 1) // (2 if self.model == BASE else 1))


def all_points() -> list[Point]:
    """The comparison, the same with older instruction sets, and the engine on growing models."""
    points = [
        Point(model, batch, threads)
        for model in (TINY, SMALL, SWIN, BASE)
        for batch in (1, 16)
        for threads in (1, 2)
    ]
    points += [
        Point(model, batch, 1, WITHOUT_BFLOAT16, isa)
        for isa in ("avx512vnni", "avx2")
        for model in (TINY, SMALL)
        for batch in (1, 16)
        if isa in supported_isas()
    ]
    growing = [
        *((model, (("img_size", size),)) for model in (TINY, SMALL) for size in (224, 384, 448)),
        *((TINY, (("depth", depth),)) for depth in (6, 12, 24)),
        *((TINY, (("embed_dim", 64 * heads), ("num_heads", heads))) for heads in (3, 6, 12)),
    ]
    points += [Point(model, 1, 1, "none", options=options) for model, options in growing]
    return points


def main() -> None:
    """Measure what is missing; with --point (from itself), one point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--checkpoint", type=Path, help="of DeiT-tiny; default: random weights")
    parser.add_argument("--kernels", type=Path, help="where dev/kernels was built")
    parser.add_argument("--only", default="*", help="pattern of points' names")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    points = {point.name: point for point in all_points() if fnmatch(point.name, arguments.only)}
    if arguments.point:
        measure(points[arguments.point], arguments.work, arguments.checkpoint)
        return
    missing = [name for name in points if not point_file(arguments.work, name).exists()]
    print(f"{len(missing)} of {len(points)} points to measure", *missing, sep="\n  ")
    if arguments.list:
        return
    measure_limits(arguments.work, arguments.kernels)
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ
    failures = 0
    for name in missing:
        start = time.monotonic()
        command = [sys.executable, __file__, *sys.argv[1:], "--point", name]
        failed = subprocess.run(command, env=environment, check=False).returncode
        failures += failed != 0
        print(f"{name}: {time.monotonic() - start:.0f} s" + " (FAILED)" * bool(failed), flush=True)
    if failures:
        sys.exit(f"{failures} points failed; the same command measures them again")


def point_file(work: Path, name: str) -> Path:
    """Where a point's results are."""
    return work / "points" / f"{name}.json"


def measure(point: Point, work: Path, checkpoint: Path | None) -> None:
    """Measure one point and save it."""
    if point.isa is not None:
        hold_peers_to(point.isa)
    peers = [] if point.peers == "none" else find_peers(point.peers.split(","))
    source = float_model(point, checkpoint)
    integer = integer_model(point, source, work)
    kept = work / "peers" / point.variant
    kept.mkdir(parents=True, exist_ok=True)
    results = run_benchmark(
        integer,
        batches=[point.batch],
        threads=[point.threads],
        rounds=point.rounds,
        isa=point.isa,
        peers=peers,
        float_model=source.model,
        folder=kept,
        mean=source.preprocessing.mean,
        std=source.preprocessing.std,
        images=noise(integer.input_size, max(64, point.batch)),
    )
    file = point_file(work, point.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_results(results, file)
    for name, reason in results.skipped.items():
        print(f"{point.name}: not measured: {name}: {reason}", flush=True)


def float_model(point: Point, checkpoint: Path | None) -> ModelSource:
    """The same weights in every process."""
    import torch

    import fullint

    torch.manual_seed(0)
    has_weights = point.model == TINY and not point.options
    options: dict[str, Any] = dict(point.options)
    return fullint.load_timm_model(
        point.model, checkpoint if has_weights else None, pretrained=False, **options
    )


def integer_model(point: Point, source: ModelSource, work: Path) -> IntegerModel:
    """Quantized by the default recipe, or loaded where that has been done."""
    import fullint

    folder = work / "models" / point.variant
    if not folder.exists():
        spec = source.preprocessing
        pixels = noise((spec.height, spec.width, spec.channels), NOISE_IMAGES)
        folder.parent.mkdir(parents=True, exist_ok=True)
        fullint.quantize(source, pixels).save(folder)
    return load_model(folder)


def noise(size: tuple[int, ...], images: int) -> np.ndarray:
    """Images of noise, the same each time."""
    return np.random.default_rng(0).integers(0, 256, (images, *size), dtype=np.uint8)


def measure_limits(work: Path, kernels: Path | None) -> None:
    """Write what a core can do at best: bytes copied a second within the second-level cache, and
    multiplications and additions a second on each instruction set.
    """
    file = work / "limits.json"
    if file.exists() and (kernels is None or json.loads(file.read_text())["operations"]):
        return
    limits: dict[str, Any] = {"bytes": copied_bytes(), "operations": {}}
    for isa in supported_isas()[1:] if kernels is not None else []:
        assert kernels is not None
        environment = os.environ | {"FULLINT_ISA": isa}
        command = [str(kernels / "bench_linear")]
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        peak = re.search(r"peak ([\d.]+) TOPS", told.stdout)
        assert peak is not None, told.stdout
        limits["operations"][isa] = float(peak[1]) * 1e12
    work.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(limits, indent=2) + "\n")


def copied_bytes() -> float:
    """Bytes read and written a second by copies of 256 KiB, the best of many."""
    source = np.ones(2**18, np.uint8)
    target = np.zeros_like(source)
    best = float("inf")
    for _ in range(2000):
        start = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - start)
    return 2 * source.nbytes / best


if __name__ == "__main__":
    main()
