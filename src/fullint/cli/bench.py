"""`fullint bench`: the engine's speed, beside what a user would otherwise run."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fullint import engine
from fullint.bench import PEERS, BenchmarkResults, find_peers, run_benchmark, save_results
from fullint.bench.chart import draw_chart
from fullint.bench.instruction_sets import hold_peers_to
from fullint.bench.peers import Peer
from fullint.bench.results import ENGINE
from fullint.bench.tables import profile_table, times_table
from fullint.cli.bench_models import (
    CALIBRATION_IMAGES,
    float_model,
    noise,
    quantized,
    weights_used,
)
from fullint.cli.console import print_facts, printable, warn
from fullint.cli.interrupts import interrupts
from fullint.cli.options import Checkpoint, RecipeName
from fullint.data import Preprocessing
from fullint.errors import FullintError
from fullint.integer.model import IntegerModel, load_model
from fullint.integer.output_directory import check_output

if TYPE_CHECKING:
    from fullint.sources import ModelSource


def bench(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="timm's name of a model, or a folder that 'fullint quantize' wrote.",
            show_default=False,
        ),
    ],
    checkpoint: Checkpoint = None,
    random_weights: Annotated[
        bool,
        typer.Option(
            "--random-weights", help="Load no weights; speed does not depend on their values."
        ),
    ] = False,
    artefact: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Run this saved model instead of quantizing MODEL, which is then its float model.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Float model for the peers, where MODEL is a folder.",
            show_default=False,
        ),
    ] = None,
    recipe: RecipeName = "default",
    img_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the input, instead of the model's.")
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Images a run; may be repeated.  [1 and 16]")
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option(min=1, max=engine.MOST_THREADS, help="Threads; may be repeated.  [1 and 2]"),
    ] = None,
    peers: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help=f"Names or patterns with commas between, or none. There are {', '.join(PEERS)}.  "
            "[all]",
            show_default=False,
        ),
    ] = None,
    isa: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Hold the engine and the peers to an instruction set: avx2, avx512vnni or amx.  "
            "[the best; FULLINT_ISA holds the engine alone]",
            show_default=False,
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Turns of each runtime; more make medians steadier.")
    ] = 10,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for a JSON file and a chart.", show_default=False
        ),
    ] = None,
) -> None:
    """Measure the speed of fullint's engine and of other runtimes on this machine.

    All run the same model on the same images of noise, by turns, at every batch size with every
    number of threads. A timm model is quantized first, with ranges measured on noise. Times are
    medians of single runs. Peers that cannot be held to an instruction set are left out with --isa.
    OMP_WAIT_POLICY says how torch's threads wait (here PASSIVE unless it is set).

    \b
    Examples:
      fullint bench deit_tiny_patch16_224 --random-weights
      fullint bench deit_tiny_patch16_224 --checkpoint W.safetensors --peers 'openvino-*,torch-*' \\
          --batch 1 --batch 16 --threads 1 --threads 2 -o speed/
      fullint bench deit_tiny_patch16_224 --random-weights --isa avx2 --peers '*-f*32,*-int8'
      fullint bench out/ --peers none
      fullint bench out/ --reference deit_tiny_patch16_224 --checkpoint W.safetensors
    """
    folder: str | Path | None = model if artefact is None and Path(model).is_dir() else artefact
    float_name = reference if folder == model else model
    _refuse_contradictions(folder, model, float_name, reference, checkpoint, random_weights)
    if folder is not None and img_size is not None:
        raise typer.BadParameter("a saved model has its size; leave out --img-size")
    if folder is not None and recipe != "default":
        raise typer.BadParameter("a saved model is quantized already; leave out --recipe")
    chosen = _chosen_peers(peers, float_name)
    files = _output_files(output, Path(folder or model))
    if not engine.available():
        raise FullintError(
            "fullint's native engine is not installed, so there is nothing to measure; "
            "reinstall fullint with a C++ compiler present"
        )
    if isa is not None:
        if isa not in engine.supported_isas():  # said before the long work
            raise FullintError(
                f"the instruction set '{isa}' is not available here; "
                f"choose one of {', '.join(engine.supported_isas())}"
            )
        if chosen:
            hold_peers_to(isa)
    source: ModelSource | None = None
    if folder is None:
        integer, source = quantized(model, checkpoint, random_weights, recipe, img_size)
    else:
        integer = load_model(folder)
        if chosen and float_name is not None:
            source = float_model(float_name, checkpoint, random_weights, integer)
    results = _measured(integer, source, chosen, batch or [1, 16], threads or [1, 2], rounds, isa)
    told = (
        f"recipe {integer.metadata.provenance.recipe or 'unknown'}, "
        + ("saved model" if folder is not None else "ranges of noise")
        + ("" if source is None else f"; float model {source.name}, ")
        + ("" if source is None else weights_used(checkpoint, random_weights))
    )
    results = replace(results, settings={ENGINE: told} | results.settings)
    _print_results(results)
    if files is not None:
        _save(results, *files)


def _refuse_contradictions(
    folder: str | Path | None,
    model: str,
    float_name: str | None,
    reference: str | None,
    checkpoint: Path | None,
    random_weights: bool,
) -> None:
    if reference is not None and folder != model:
        raise typer.BadParameter("--reference goes with a folder; MODEL is a float model already")
    if checkpoint is not None and random_weights:
        raise typer.BadParameter("give either --checkpoint or --random-weights")
    if float_name is None and (checkpoint is not None or random_weights):
        raise typer.BadParameter("weights are those of the float model; give --reference too")


def _chosen_peers(names: str | None, float_name: str | None) -> list[Peer]:
    if names == "none":
        return []
    if float_name is None:
        if names is not None:
            raise typer.BadParameter("peers run the float model; give --reference too")
        warn("no peers are measured: they run the float model, which --reference names")
        return []
    return find_peers([name.strip() for name in (names or "*").split(",")])


def _output_files(output: Path | None, model: Path) -> tuple[Path, Path] | None:
    """Where results and chart go; refused before the long work."""
    if output is None:
        return None
    name = re.sub(r"[^\w.-]+", "-", model.resolve().name if model.is_dir() else str(model))
    files = output / f"{name}.json", output / f"{name}.png"
    for path in files:
        if os.path.lexists(path):
            raise FullintError(f"{str(path)!r} exists already; choose another folder for --output")
        check_output(path, (), overwrite=False)
    return files


def _measured(
    model: IntegerModel,
    source: ModelSource | None,
    peers: Sequence[Peer],
    batches: Sequence[int],
    threads: Sequence[int],
    rounds: int,
    isa: str | None,
) -> BenchmarkResults:
    spec = source.preprocessing if source is not None else None
    if spec is None and model.preprocessing is not None:
        spec = Preprocessing.from_dict(model.preprocessing)
    statistics: dict[str, Any] = {} if spec is None else {"mean": spec.mean, "std": spec.std}
    count = max(CALIBRATION_IMAGES, *batches)
    with contextlib.redirect_stdout(sys.stderr):  # peers talk; stdout is for the results
        return run_benchmark(
            model,
            batches=sorted(set(batches)),
            threads=sorted(set(threads)),
            rounds=rounds,
            isa=isa,
            peers=peers,
            float_model=None if source is None else source.model,
            images=noise((count, *model.input_size)),
            progress=_PlainProgress(),
            **statistics,
        )


class _PlainProgress:
    """A line when something begins: a bar is redrawn by a thread, which would disturb timing."""

    def __init__(self) -> None:
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._what:
            self._what = what
            print(what, file=sys.stderr, flush=True)


def _print_results(results: BenchmarkResults) -> None:
    machine = results.machine
    print_facts(
        [
            ("model", results.model),
            ("machine", f"{machine['cpu']}, {machine['cpus']} CPUs to use"),
            ("instruction set", results.isa),
            ("commit", machine["commit"] or "unknown"),
        ]
    )
    console = Console(highlight=False)
    console.print(times_table(results))
    typer.echo("median ± half the way from the 10th to the 90th percentile; * the best peer")
    for name, reason in results.skipped.items():
        typer.echo(printable(f"not measured: {name}: {reason}"))
    console.print(profile_table(results))
    typer.echo("GOPS: 1e9 multiplications and additions a second, of matrix products alone")


def _save(results: BenchmarkResults, data: Path, chart: Path) -> None:
    data.parent.mkdir(parents=True, exist_ok=True)
    with interrupts.held_back(f"the results were saved in {str(data)!r} before"):
        save_results(results, data)
    try:
        with interrupts.held_back(f"the chart was saved in {str(chart)!r} before"):
            draw_chart(results, chart)
    except FullintError as error:  # without matplotlib; the results are there
        warn(f"no chart was drawn: {error}")
        chart = data
    typer.echo(f"saved in {printable(data)}" + ("" if chart == data else f" and {chart.name}"))
