"""The outcomes of a grid as rows, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fullint.recipe_comparison.float_reference import FloatReference
from fullint.recipe_comparison.grid import Outcome
from fullint.recipe_comparison.job import Job
from fullint.recipes.choices import operation_names

Row = dict[str, Any]
Column = tuple[str, str, str]
# Of a table for people: heading, key of the row, format.
COLUMNS: tuple[Column, ...] = (
    ("recipe", "recipe", "{}"),
    ("bits", "bits", "{}"),
    ("top-1", "top1", "{:.2f}"),
    ("drop", "drop", "{:.2f}"),
    ("top-5", "top5", "{:.2f}"),
    ("agreement", "agreement", "{:.2f}"),
    ("SQNR dB", "logit_sqnr_db", "{:.1f}"),
    ("seconds", "quantization_seconds", "{:.0f}"),
    ("CPU s", "quantization_cpu_seconds", "{:.0f}"),
    ("peak MB", "peak_memory_mb", "{:.0f}"),
    ("size MB", "model_size_mb", "{:.2f}"),
    ("runs in", "runs_in", "{}"),
)
_MAIN = {"recipe", "bits", "top1", "drop", "agreement", "quantization_seconds", "runs_in"}
MAIN_COLUMNS = tuple(column for column in COLUMNS if column[1] in _MAIN)


def result_rows(outcomes: Iterable[Outcome]) -> list[Row]:
    """A row a cell and validation folder; a failed cell has one, with its sentence as "error".

    Beside the columns of `Evaluation.row`: "drop", the float model's top-1 minus that of the
    quantized model in points, the operations by the names of their options, and what
    `tasks.run_cell` returns.
    """
    rows: list[Row] = []
    for outcome in outcomes:
        recipe = outcome.cell.recipe
        named = {"recipe": recipe.name, "bits": outcome.cell.bits, **operation_names(recipe)}
        if outcome.file is None:
            rows.append({**named, "error": outcome.error})
            continue
        result = dict(outcome.file.result)
        version = outcome.file.settings["versions"]["fullint"]
        for name, figures in result.pop("figures").items():
            drop = {"drop": round(figures["float_top1"] - figures["top1"], 4)}
            rows.append(
                named | {"data": name} | figures | drop | result | {"fullint_version": version}
            )
    return rows


def formatted(row: Row, columns: Sequence[Column] = COLUMNS) -> list[str]:
    """These columns as text; "-" where there is no value."""
    return [
        "-" if row.get(key) in (None, "") else form.format(row[key]) for _, key, form in columns
    ]


def ranked(rows: Iterable[Row]) -> list[Row]:
    """Measured rows, the widest bits first, the most accurate recipe of each first."""
    measured = [row for row in rows if "error" not in row]
    return sorted(measured, key=lambda row: (sort_key_of_bits(row["bits"]), -row["top1"]))


def sort_key_of_bits(bits: str) -> tuple[int, int]:
    """Orders "w8a8" before "w6a6" before "w4a8" before "w4a4"."""
    weights, activations = bits.removeprefix("w").split("a")
    return -int(weights), -int(activations)


def to_csv(rows: Sequence[Row]) -> str:
    """All rows, with every column that one of them has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_markdown(
    job: Job,
    command: str,
    outcomes: Sequence[Outcome],
    references: Mapping[str, FloatReference],
) -> str:
    """A table a validation folder, the command that made it, and what failed."""
    rows = result_rows(outcomes)
    parts = [f"# {job.model}: recipes compared", f"    {command}", _conditions(job, outcomes)]
    for name, reference in references.items():
        parts += [f"## {name}", _float_line(reference)]
        parts.append(_table(row for row in ranked(rows) if row["data"] == name))
    failed = [f"* {outcome.cell}: {outcome.error}" for outcome in outcomes if not outcome.file]
    if failed:
        parts += ["## Not measured", "\n".join(failed)]
    return "\n\n".join(parts) + "\n"


def _conditions(job: Job, outcomes: Sequence[Outcome]) -> str:
    calibration = job.calibration_settings
    weights = job.model_settings["weights_sha256"]
    machines = {
        f"{made['cpu']}, {made['cpus']} CPUs"
        for outcome in outcomes
        if outcome.file and (made := outcome.file.made_by)
    } or {"no machine yet"}
    return (
        f"Weights: {f'sha256 {weights[:16]}' if weights else 'those that timm fetches'}. "
        f"Calibrated on {calibration['images']} images (sha256 {calibration['sha256'][:16]}). "
        "Rates and drops in percent and points; the drop is that of top-1 from the float model, "
        "agreement how often both put the same class first. Seconds, those of all threads together "
        f"(CPU s) and peak memory are of quantization, on {' and '.join(sorted(machines))}."
    )


def _float_line(reference: FloatReference) -> str:
    result = reference.evaluation()
    return (
        f"{result.images} images; float model: top-1 {result.rate(result.top1)}, "
        f"top-{result.k} {result.rate(result.top5)}"
    )


def _table(rows: Iterable[Row]) -> str:
    lines = ["| " + " | ".join(heading for heading, _, _ in COLUMNS) + " |"]
    lines.append("|---|---" + "|---:" * (len(COLUMNS) - 3) + "|---|")
    lines += ["| " + " | ".join(formatted(row)) + " |" for row in rows]
    return "\n".join(lines)
