"""Tables and a chart of what scripts/measure_speed.py measured.

    python scripts/speed_report.py WORK -o benchmarks/speed

Writes speed-CPU-DATE.csv, .md, .json (the points' own files, in one) and .png.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fullint.bench import BenchmarkResults, load_results
from fullint.bench.results import ENGINE
from measure_speed import Point, all_points, point_file

Measured = dict[Point, BenchmarkResults]
AIM = 4


def main() -> None:
    """Write the report of the points that have been measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    measured = {
        point: load_results(file)
        for point in all_points()
        if (file := point_file(arguments.work, point.name)).exists()
    }
    if not measured:
        parser.error(f"no point of scripts/measure_speed.py is in {arguments.work / 'points'}")
    limits = json.loads((arguments.work / "limits.json").read_text())
    first = next(iter(measured.values()))
    stem = f"speed-{first.machine['isas'][-1]}-{max(r.machine['date'] for r in measured.values())}"
    arguments.output.mkdir(parents=True, exist_ok=True)
    base = arguments.output / stem
    base.with_suffix(".csv").write_text(rows_as_csv(measured))
    base.with_suffix(".md").write_text(report(measured, limits))
    points = {p.name: json.loads(point_file(arguments.work, p.name).read_text()) for p in measured}
    content = {"limits": limits, "points": points}
    base.with_suffix(".json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    draw(measured, base.with_suffix(".png"))
    print(f"{len(measured)} of {len(all_points())} points in {base}.*")


def rows_as_csv(measured: Measured) -> str:
    """A row for each runtime at each point."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("model", "isa", "batch", "threads", "runtime", "ms", "low", "high", "runs")
    writer.writerow([*names, "images_per_second", "commit"])
    for point, results in measured.items():
        for m in results.at(point.batch, point.threads):
            values = [round(v, 4) for v in (m.milliseconds, m.low, m.high)]
            place = [point.variant, results.isa, point.batch, point.threads, m.name]
            speed = round(m.images_per_second, 2)
            writer.writerow([*place, *values, m.runs, speed, results.machine["commit"]])
    return text.getvalue()


def report(measured: Measured, limits: dict[str, Any]) -> str:
    """All tables, in Markdown."""
    machine = next(iter(measured.values())).machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    dates, commits = (
        ", ".join(sorted({str(r.machine[name]) for r in measured.values()}))
        for name in ("date", "commit")
    )
    parts = [
        "# Speed",
        f"{machine['cpu']}, {machine['cpus']} CPUs; {dates}, commit {commits}; "
        f"{versions}. Milliseconds a run: medians, and half the way from the 10th to the 90th "
        f"percentile. `scripts/measure_speed.py` made these.",
    ]
    parts.append(settings(measured))
    compared = {point: r for point, r in measured.items() if point.peers != "none"}
    for key in dict.fromkeys((point.model, point.isa) for point in compared):
        chosen = {p: r for p, r in compared.items() if (p.model, p.isa) == key}
        isa = next(iter(chosen.values())).isa
        held = "" if key[1] is None else ", and peers held to it"
        parts += [f"## {key[0]} ({isa}{held})", comparison(chosen), left_out(chosen)]
    parts += ["## Growing models, batch 1, one thread", growth(measured)]
    for point, results in measured.items():
        if (point.batch, point.threads) == (1, 1) and point.peers != "none":
            title = f"## Where the time goes: {point.variant} ({results.isa})"
            parts += [title, profile(results, limits)]
    return "\n\n".join(part for part in parts if part) + "\n"


def settings(measured: Measured) -> str:
    """Of each peer, and the variables that were set."""
    told = {name: text for r in measured.values() for name, text in r.settings.items()}
    variables = {
        f"{name}={value}"
        for results in measured.values()
        for name, value in results.machine["environment"].items()
    }
    lines = [f"* {name}: {text}" for name, text in told.items()]
    if variables:
        lines.append(f"* environment, of some points or all: {', '.join(sorted(variables))}")
    return "\n".join(lines)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    columns = list(header)
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def comparison(measured: Measured) -> str:
    """A row for each runtime, a column for each point."""
    times = {
        (m.name, point): m
        for point, results in measured.items()
        for m in results.at(point.batch, point.threads)
    }
    names = dict.fromkeys([ENGINE, *sorted({name for name, _ in times})])

    def cell(name: str, point: Point) -> str:
        m = times.get((name, point))
        return "-" if m is None else f"{m.milliseconds:.2f} ± {(m.high - m.low) / 2:.2f}"

    rows = [[name, *(cell(name, point) for point in measured)] for name in names]
    ratios = [r.advantage(p.batch, p.threads) for p, r in measured.items()]
    rows.append(["best peer / fullint", *("-" if r is None else f"{r:.2f}" for r in ratios)])
    speeds = [times[ENGINE, point].images_per_second for point in measured]
    rows.append(["fullint, images/s", *(f"{speed:.0f}" for speed in speeds)])
    header = [f"batch {p.batch}, {p.threads} thread{'s' * (p.threads > 1)}" for p in measured]
    return table(["", *header], rows)


def left_out(measured: Measured) -> str:
    """Peers that did not run, and why."""
    reasons = {n: why for results in measured.values() for n, why in results.skipped.items()}
    return "\n".join(f"* not measured: {name}: {why}" for name, why in reasons.items())


def growth(measured: Measured) -> str:
    """Time beside the number of multiplications and additions."""
    rows = []
    first: dict[tuple[str, str], tuple[float, int]] = {}
    for point, results in measured.items():
        if point.peers != "none":
            continue
        time = results.at(1, 1)[0].milliseconds
        operations = sum(step["operations"] for step in results.profile)
        of_kind = (point.model, point.options[0][0])
        least_time, least = first.setdefault(of_kind, (time, operations))
        grown = [f"{operations / least:.2f}", f"{time / least_time:.2f}"]
        rows.append([point.variant, f"{operations / 2e9:.2f}", f"{time:.2f}", *grown])
    header = ["", "G mult-adds", "ms", "operations / the first's", "time / the first's"]
    return table(header, rows)


def profile(results: BenchmarkResults, limits: dict[str, Any]) -> str:
    """A row for each kind of operation: its time, and what the machine would need at least."""
    peak = limits["operations"].get(results.isa)
    rows = []
    for step in results.profile:
        milliseconds = 1000 * step["seconds"]
        compute = 1000 * step["operations"] / peak if peak else 0
        transport = 1000 * step["bytes"] / limits["bytes"]
        limit = max(compute, transport)
        rows.append(
            [
                f"{step['kind']} ({step['steps']})",
                f"{milliseconds:.3f}",
                f"{100 * step['share']:.1f} %",
                f"{step['operations'] / 1e6:.0f}" if step["operations"] else "",
                f"{step['bytes'] / 1e6:.2f}",
                f"{limit:.3f} ({'multipliers' if compute > transport else 'transport'})",
                f"{100 * limit / milliseconds:.0f} %" if milliseconds else "",
            ]
        )
    header = ["kind (steps)", "ms", "share", "M operations", "MB", "limit, ms", "of the limit"]
    told = "" if peak is None else f"{peak / 1e12:.2f} TOPS, "
    return (
        f"Limits of one core: {told}{limits['bytes'] / 1e9:.0f} GB/s copied within its caches; a "
        "step reads every operand and writes its result once.\n\n" + table(header, rows)
    )


def draw(measured: Measured, path: Path) -> None:
    """How many times faster than the best peer, at every point that has peers."""
    from matplotlib.figure import Figure

    ratios = {
        f"{p.model.split('_patch')[0]}{'' if p.isa is None else ' ' + p.isa}\n"
        f"batch {p.batch}, {p.threads} thread{'s' * (p.threads > 1)}": ratio
        for p, results in measured.items()
        if (ratio := results.advantage(p.batch, p.threads)) is not None
    }
    figure = Figure(figsize=(8, 0.42 * len(ratios) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh(list(ratios), list(ratios.values()), color="#c8553d")
    axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    axes.axvline(1, color="#8a9ba8")
    axes.axvline(AIM, color="#8a9ba8", linestyle="dotted")
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("times as fast as the best peer")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
