"""The model card of a saved model: what was measured, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from fullint.integer.audit import audit, float_operations
from fullint.integer.metadata import Entry, ModelMetadata, Provenance
from fullint.integer.program import IntegerProgram

_RATES = {
    "top1": "top-1",
    "top5": "top-5",
    "float_top1": "float top-1",
    "float_top5": "float top-5",
    "agreement": "agreement with the float model",
    "top1_difference": "top-1 difference",
}


def model_card(program: IntegerProgram, metadata: ModelMetadata) -> str:
    """Markdown from a program and its metadata; what is unknown is left out."""
    provenance = metadata.provenance
    height, width, channels = program.input_shape[1:]
    lines = [
        f"# {provenance.model or 'Vision transformer'}, integer only",
        "",
        f"uint8 pixels ({height} × {width} × {channels}) in, {program.output_type.shape[-1]} int32 "
        f"logits out, integer arithmetic between. Float operations: {float_operations(program)}.",
        "",
        *_source(provenance),
        *_sizes(program, provenance),
        "",
        "## Measured",
        "",
        *_measured(metadata),
        "",
        "## Run",
        "",
        "```python",
        "import fullint",
        'model = fullint.load("path/of/this/folder")',
        f"logits = model(pixels)  # pixels: uint8, (images, {height}, {width}, {channels})",
        "```",
        "",
        "    fullint evaluate path/of/this/folder --data-dir images/",
        "",
    ]
    return "\n".join(lines)


def _source(provenance: Provenance) -> Iterator[str]:
    if provenance.checkpoint:
        digest = (
            f", sha256 `{provenance.checkpoint_sha256}`" if provenance.checkpoint_sha256 else ""
        )
        yield f"* checkpoint: {_code(provenance.checkpoint)}{digest}"
    if provenance.recipe:
        yield f"* recipe: {_code(provenance.recipe)}; its full declaration is in `config.json`"
    if provenance.bits:
        yield f"* bits: {', '.join(f'{name} {bits}' for name, bits in provenance.bits.items())}"
    if calibration := provenance.calibration:
        folder = f" of {_code(calibration.folder)}" if calibration.folder else ""
        digest = f", sha256 `{calibration.sha256}`" if calibration.sha256 else ""
        yield f"* calibration: {calibration.images} images{folder}{digest}"
    if provenance.fullint_version:
        yield f"* made by: fullint {provenance.fullint_version}"


def _sizes(program: IntegerProgram, provenance: Provenance) -> Iterator[str]:
    size = sum(audit(program).constant_bytes.values())
    if provenance.float_bytes and size:
        ratio = provenance.float_bytes / size
        before = _megabytes(provenance.float_bytes)
        yield f"* size: {_megabytes(size)}; float {before}, {ratio:.2f} times as much"
    else:
        yield f"* size: {_megabytes(size)}"


def _measured(metadata: ModelMetadata) -> Iterator[str]:
    agreement = metadata.provenance.simulation_agreement
    if agreement and agreement.images:
        yield (
            "* Float simulation and integer program put the same class first on "
            f"{agreement.agreeing} of {agreement.images} images."
        )
    for entry in metadata.measurements:
        skipped = f" ({entry['skipped']} more could not be read)" if entry.get("skipped") else ""
        rates = [f"{title} {_rate(entry, name)}" for name, title in _RATES.items() if name in entry]
        yield f"* {_code(entry['data'])}, {entry['images']} images{skipped}: {', '.join(rates)}."
    if metadata.measurements:
        yield "\nRates in percent, of the integer program unless named float (± standard error)."
    elif not agreement:
        yield "Nothing yet: `fullint evaluate` measures accuracy on a folder of labelled images."


def _rate(entry: Entry, name: str) -> str:
    error = entry.get(f"{name}_standard_error")
    return f"{_decimal(entry[name])}" + (f" (± {_decimal(error)})" if error is not None else "")


def _decimal(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, (int, float)) else str(value)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count} bytes"


def _code(text: str) -> str:
    """As a code span, which no character of the text can leave."""
    return f"`{text.replace('`', chr(39))}`"
