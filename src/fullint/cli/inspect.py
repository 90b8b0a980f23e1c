"""`fullint inspect`: what a saved model is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

import typer

from fullint.cli.console import megabytes, print_facts, print_table, printable
from fullint.cli.facts import Fact, integer_line, quantization_facts
from fullint.cli.options import Artefact
from fullint.integer.audit import Audit, audit
from fullint.integer.model import IntegerModel, load_model

_WORST_SHOWN = 5
_EQUAL_DECIBELS = 999.0
_STANDARD_ERROR = "_standard_error"


class Layer(NamedTuple):
    """How far the program is from its simulation in one tensor, as saved with the model."""

    tensor: str
    equal: float
    largest: int
    signal_to_difference: float


def inspect(
    artefact: Artefact,
    layers: Annotated[
        bool, typer.Option("--layers", help="Show the differences of all layers, not the worst.")
    ] = False,
) -> None:
    """Show what a saved model is, and what was measured on it.

    Origin, recipe, size, operations, accumulators, difference of simulation and program. Reading it
    checks it: a file that is damaged, edited or of a newer fullint is refused. No torch
    is needed.

    \b
    Examples:
      fullint inspect out/
      fullint inspect out/ --layers
    """
    model = load_model(artefact)
    found = audit(model.program)
    print_facts([*quantization_facts(model), *_program_facts(model, found)])
    print_table(
        ("operation", "count", "bits of the widest result"),
        [(kind, n, found.largest_bits.get(kind, "")) for kind, n in found.operations.items()],
    )
    _print_layers(list(_layers(model.metadata.provenance.layer_report)), layers)
    _print_measurements(model.metadata.measurements)
    typer.echo(integer_line(model))


def _program_facts(model: IntegerModel, found: Audit) -> Iterator[Fact]:
    height, width, channels = model.input_size
    yield "input", f"uint8 pixels {height} × {width} × {channels}"
    if spec := model.preprocessing:
        yield (
            "preprocessing",
            f"{spec.get('interpolation')}, crop fraction {spec.get('crop_pct')}, "
            f"{spec.get('crop_mode')}, mean {spec.get('mean')}, std {spec.get('std')}",
        )
    names = model.metadata.class_names or model.metadata.class_ids or []
    examples = f" ({', '.join(names[:3])} ...)" if names else " without names"
    yield "output", f"{model.classes} int32 logits{examples}"
    storage = ", ".join(
        f"{name} {megabytes(size)}" for name, size in sorted(found.constant_bytes.items())
    )
    yield "constants", f"{found.constants}: {storage}"
    yield "widest accumulator", f"{max(found.largest_bits.values())} bits, of at most 32"
    if version := model.metadata.provenance.fullint_version:
        yield "made by", f"fullint {version}"


def _layers(report: Iterable[dict[str, Any]]) -> Iterator[Layer]:
    """Entries that hold what they should; nobody vouches for a file's."""
    for entry in report:
        values: list[Any] = [entry.get(name) for name in Layer._fields]
        if isinstance(values[0], str) and all(type(value) in (int, float) for value in values[1:]):
            yield Layer(*values)


def _print_layers(layers: list[Layer], all_of_them: bool) -> None:
    if not layers:
        return
    equal = sum(layer.equal for layer in layers) / len(layers)
    typer.echo(
        f"simulation and program, layer by layer: {100 * equal:.1f} % of the codes are equal, the "
        f"largest difference is {max(layer.largest for layer in layers)}, over {len(layers)} layers"
    )
    shown = layers if all_of_them else sorted(layers, key=lambda layer: layer.signal_to_difference)
    count = len(shown) if all_of_them else min(_WORST_SHOWN, len(shown))
    print_table(
        (
            "layer" if all_of_them else f"the {count} worst layers",
            "equal codes",
            "largest difference",
            "signal to difference",
        ),
        [
            (
                layer.tensor,
                f"{100 * layer.equal:.2f} %",
                layer.largest,
                "equal"
                if layer.signal_to_difference >= _EQUAL_DECIBELS
                else f"{layer.signal_to_difference:.1f} dB",
            )
            for layer in shown[:count]
        ],
    )


def _print_measurements(measurements: list[dict[str, Any]]) -> None:
    if not measurements:
        typer.echo("not measured yet: fullint evaluate FOLDER --data-dir IMAGES --record")
    for entry in measurements:
        typer.echo(printable(f"measured on {entry['data']}: {', '.join(_values(entry))}"))


def _values(entry: dict[str, Any]) -> Iterator[str]:
    for name, value in entry.items():
        if name != "data" and not name.endswith(_STANDARD_ERROR):
            error = entry.get(name + _STANDARD_ERROR)
            yield f"{name} {value}" + ("" if error is None else f" (± {error})")
