"""What a model carries beside its program: how to feed it, its classes, origin and accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from fullint.errors import FullintError
from fullint.integer import strict_json

Entry = dict[str, Any]


@dataclass(frozen=True)
class Calibration:
    """The images that ranges were measured on: count, hash, and name (not path) of their folder."""

    images: int
    sha256: str | None = None
    folder: str | None = None


@dataclass(frozen=True)
class Agreement:
    """On how many of the images the simulation and the program put the same class first."""

    images: int
    agreeing: int


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from; None or empty where unknown.

    Attributes:
        model: name of the source model.
        checkpoint, checkpoint_sha256: name (not path) and hash of the file its weights came from.
        float_bytes: size of the source model's parameters, usually 4 bytes each.
        recipe, recipe_declaration: the recipe's name, and everything it declares.
        bits: by what they are spent on, such as {"weights": 8, "activations": 8, "attention": 4}.
        calibration: the calibration set.
        simulation_agreement: of the float simulation with the program.
        layer_report: difference of simulation and program, one entry a layer.
        fullint_version: version of the package that made the program.
    """

    model: str | None = None
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    float_bytes: int | None = None
    recipe: str | None = None
    recipe_declaration: Entry = field(default_factory=dict)
    bits: dict[str, int] = field(default_factory=dict)
    calibration: Calibration | None = None
    simulation_agreement: Agreement | None = None
    layer_report: list[Entry] = field(default_factory=list)
    fullint_version: str | None = None


@dataclass(frozen=True)
class ModelMetadata:
    """Everything about a model but its program, in the form in which a file gives it back.

    Attributes:
        preprocessing: the fields of `fullint.data.preprocessing.Preprocessing`.
        class_ids: one identifier a class (WordNet ids), all different.
        class_names: one readable name a class.
        provenance: where the model comes from.
        measurements: measured accuracies, {"data": name of the images, "images": their count, ...}.

    Raises:
        FullintError: a field of the wrong type.
    """

    preprocessing: Entry | None = None
    class_ids: list[str] | None = None
    class_names: list[str] | None = None
    provenance: Provenance = field(default_factory=Provenance)
    measurements: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        values = _typed(ModelMetadata, strict_json.plain(self, "metadata"), "metadata")
        ids = values["class_ids"] or ()
        if len(set(ids)) != len(ids):
            raise FullintError("metadata.class_ids holds an identifier twice")
        for entry in values["measurements"]:
            if not isinstance(entry.get("data"), str) or not _is_count(entry.get("images")):
                raise FullintError(
                    "a measurement lacks 'data' (the name of the images) or 'images' (their count)"
                )
        values["provenance"] = _provenance(values["provenance"])
        for name, value in values.items():
            object.__setattr__(self, name, value)  # how a frozen dataclass finishes itself

    @classmethod
    def from_dict(cls, value: object) -> ModelMetadata:
        """The inverse of `to_dict`; FullintError unless every field is there and well typed."""
        names = [f.name for f in fields(cls)]
        return cls(**dict(zip(names, strict_json.fields(value, "metadata", names), strict=True)))

    def to_dict(self) -> Entry:
        """All fields as JSON holds them."""
        return asdict(self)

    def with_measurement(self, entry: Mapping[str, object]) -> ModelMetadata:
        """With one more measurement, less its empty values, unless it is there already."""
        filled = {name: value for name, value in entry.items() if value not in ("", None)}
        measurement = strict_json.plain(filled, "measurement")
        if measurement in self.measurements:
            return self
        return replace(self, measurements=[*self.measurements, measurement])


def _provenance(value: object) -> Provenance:
    values = _typed(Provenance, value, "metadata.provenance")
    for name, kind in (("calibration", Calibration), ("simulation_agreement", Agreement)):
        if values[name] is not None:
            values[name] = kind(**_typed(kind, values[name], f"metadata.provenance.{name}"))
    return Provenance(**values)


def _typed(kind: type, value: object, where: str) -> Entry:
    """The fields of the dataclass `kind`, each of the type that its annotation names."""
    annotations = {f.name: str(f.type) for f in fields(kind)}
    values = dict(zip(annotations, strict_json.fields(value, where, annotations), strict=True))
    for name, annotation in annotations.items():
        required = annotation.removesuffix(" | None")
        optional = required != annotation
        item = values[name]
        if not (item is None and optional) and not _CHECKS[required](item):
            raise FullintError(
                f"{where}.{name} is {strict_json.brief(item)}, expected {annotation}"
            )
    return values


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _list_of(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_object_of_counts(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


_CHECKS: dict[str, Callable[[object], bool]] = {
    "str": _is_text,
    "int": _is_count,
    "Entry": _is_object,
    "dict[str, int]": _is_object_of_counts,
    "list[str]": _list_of(_is_text),
    "list[Entry]": _list_of(_is_object),
    "Provenance": _is_object,
    "Calibration": _is_object,
    "Agreement": _is_object,
}
