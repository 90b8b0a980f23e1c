"""What is known about an integer model, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from fullint.cli.console import megabytes
from fullint.integer.audit import float_operations
from fullint.integer.model import IntegerModel
from fullint.memory import peak_memory_bytes

Fact = tuple[str, str]


def quantization_facts(model: IntegerModel) -> Iterator[Fact]:
    """Where it comes from, and how large it is."""
    provenance = model.metadata.provenance
    yield "model", _named(provenance.model, provenance.checkpoint)
    yield "recipe", _named(provenance.recipe, _bits(provenance.bits))
    if calibration := provenance.calibration:
        folder = f" of '{calibration.folder}'" if calibration.folder else ""
        yield "calibrated on", f"{calibration.images} images{folder}"
    yield "size", size_line(model)
    yield "operations", str(len(model.program.operations))
    if agreement := provenance.simulation_agreement:
        yield (
            "simulation and program",
            f"same class first on {agreement.agreeing} of {agreement.images} images",
        )


def integer_line(model: IntegerModel) -> str:
    """What every command that shows a model ends with."""
    return f"float operations left: {float_operations(model.program)}"


def peak_memory() -> str:
    """Largest resident memory of this process so far."""
    peak = peak_memory_bytes()
    return "unknown" if peak is None else megabytes(peak)


def size_line(model: IntegerModel) -> str:
    """Before and after, where before is known."""
    size, before = model.size_bytes, model.metadata.provenance.float_bytes
    if not before:
        return megabytes(size)
    return (
        f"float {megabytes(before)} -> integer {megabytes(size)}, {before / size:.2f} times smaller"
    )


def _bits(bits: dict[str, int]) -> str | None:
    return ", ".join(f"{name} {count} bits" for name, count in bits.items()) or None


def _named(name: str | None, detail: str | None) -> str:
    return f"{name or 'unknown'} ({detail})" if detail else name or "unknown"
