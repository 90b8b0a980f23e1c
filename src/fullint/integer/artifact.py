"""The saved form of a model: a directory of three files with fixed names.

    config.json        its own digest, the version of the format, size and digest of the other file,
                       the program, the table of its constants, the metadata
    model.safetensors  the constants, each in its smallest storage type (`storage`)
    README.md          the model card, for people; never read

A file may come from anywhere, so reading trusts nothing: sizes are bounded before memory is taken,
both digests are checked, every field is known and typed, and the program proves its ranges again.
Whatever is wrong is a FullintError.

The first two lines of config.json are ``{`` and ``"sha256": "<digest>",``. The digest is over all
bytes after them: `tail -n +3 config.json | sha256sum` shows it. It guards against accidents, not
against a forger, who can compute it too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fullint.errors import FullintError
from fullint.integer import output_directory, strict_json
from fullint.integer.checks import check_model
from fullint.integer.constant_table import ConstantTable, PackedConstant
from fullint.integer.metadata import ModelMetadata
from fullint.integer.model_card import model_card
from fullint.integer.program import IntegerProgram
from fullint.integer.program_json import (
    StoredConstant,
    decode_constants,
    decode_program,
    encode_constants,
    encode_program,
)
from fullint.integer.storage import PACKED_TYPES, least_bytes, most_bytes, pack, unpack
from fullint.integer.tensor_file import MAXIMUM_HEADER, TensorFile

SCHEMA_VERSION = 2  # 1 had no row_uint4 and no runs; it is read as it is
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
FILE_NAMES = (CONFIG, WEIGHTS, CARD)
_PACKED_BYTES = 4096  # of a constant that stays packed in memory, at least

_FIELDS = ("sha256", "schema_version", "weights", "program", "constants", "metadata")


class Contents(NamedTuple):
    """What a saved model holds, how its constants are stored, size and digest of their file, and
    that file where the constants are views of it.
    """

    program: IntegerProgram
    metadata: ModelMetadata
    constants: Mapping[str, Any]
    weights: Mapping[str, Any]
    file: TensorFile | None = None


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Refuse a path that `save` would refuse; to be called before the work that leads to saving."""
    output_directory.check_output(path, FILE_NAMES, overwrite=overwrite)


def save(
    path: str | os.PathLike[str],
    program: IntegerProgram,
    metadata: ModelMetadata,
    *,
    overwrite: bool = False,
) -> None:
    """Write a model as the new directory `path`, complete or not at all.

    The same model gives the same bytes. Raises FullintError where the path cannot be written or is
    taken (with `overwrite`: by anything but a saved model).
    """
    check_output(path, overwrite=overwrite)
    constants = encode_constants(program.constants)
    packed = {
        name: pack(program.constants[name], entry["storage"]) for name, entry in constants.items()
    }
    import safetensors.numpy  # only writing needs it

    data = safetensors.numpy.save(packed)
    weights = {"bytes": len(data), "sha256": _sha256(data)}
    contents = Contents(program, metadata, constants, weights)
    files = {CONFIG: _config(contents), WEIGHTS: data, CARD: model_card(program, metadata).encode()}
    output_directory.write_directory(path, files, overwrite=overwrite, verify=read)


def read(path: str | os.PathLike[str]) -> Contents:
    """Read and check a saved model; FullintError unless every byte is as saved and makes sense."""
    directory = Path(path)
    with _naming(f"cannot load {str(path)!r}"):
        _require_directory(directory)
        with _naming(CONFIG):
            config = _read_config(_read_file(directory / CONFIG, strict_json.MAXIMUM_BYTES))
            constants = decode_constants(config["constants"])
            weights = _decode_weights(config["weights"], constants)
        with _naming(WEIGHTS):
            file = _open_constants(directory / WEIGHTS, weights)
            arrays = _read_constants(file, constants)
        with _naming(CONFIG):
            program = decode_program(config["program"], arrays)
            metadata = ModelMetadata.from_dict(config["metadata"])
            check_model(program, metadata)
    return Contents(program, metadata, config["constants"], weights, file)


def add_measurement(path: str | os.PathLike[str], entry: Mapping[str, object]) -> None:
    """Add a measured accuracy to a saved model, in its config.json and in its model card.

    `entry` holds "data", the name of the images, "images", their count, and numbers: the row of an
    Evaluation. Each file is replaced in one step. Where two processes do this to one model at the
    same moment, one of the two entries is lost.
    """
    contents = read(path)
    contents = contents._replace(metadata=contents.metadata.with_measurement(entry))
    output_directory.replace_file(Path(path) / CONFIG, _config(contents))
    card = model_card(contents.program, contents.metadata)
    output_directory.replace_file(Path(path) / CARD, card.encode())


def _config(contents: Contents) -> bytes:
    document = {
        "schema_version": SCHEMA_VERSION,
        "weights": dict(contents.weights),
        "program": encode_program(contents.program),
        "constants": dict(contents.constants),
        "metadata": contents.metadata.to_dict(),
    }
    rest = strict_json.dump(document, expanded_levels=3).removeprefix("{\n").encode() + b"\n"
    if len(rest) > strict_json.MAXIMUM_BYTES - 100:
        raise FullintError("the model cannot be saved: its metadata are too large")
    return _config_head(_sha256(rest)) + rest


def _config_head(digest: str) -> bytes:
    return b'{\n "sha256": "%s",\n' % digest.encode()


def _read_config(data: bytes) -> dict[str, Any]:
    config = strict_json.parse(data)
    version = config.get("schema_version")
    if type(version) is int and version > SCHEMA_VERSION:
        raise FullintError(
            f"it was made by a newer fullint (format {version}, this one reads {SCHEMA_VERSION}); "
            "upgrade fullint"
        )
    rest = data[len(_config_head("0" * 64)) :]
    if data != _config_head(_sha256(rest)) + rest:
        raise FullintError(
            "it is damaged or was edited: its digest does not fit; get it again from its source"
        )
    values = dict(zip(_FIELDS, strict_json.fields(config, "the document", _FIELDS), strict=True))
    strict_json.integer(values["schema_version"], "schema_version", 1, SCHEMA_VERSION)
    return values


def _decode_weights(value: object, constants: Mapping[str, StoredConstant]) -> dict[str, Any]:
    size, digest = strict_json.fields(value, "weights", ("bytes", "sha256"))
    least = sum(least_bytes(*constant) for constant in constants.values())
    most = sum(most_bytes(*constant) for constant in constants.values())
    strict_json.integer(size, "weights.bytes", least, most + MAXIMUM_HEADER)
    return {"bytes": size, "sha256": strict_json.sha256(digest, "weights.sha256")}


def _open_constants(path: Path, weights: Mapping[str, Any]) -> TensorFile:
    with _readable_errors():
        _check_file(path, weights["bytes"])
        file = TensorFile(path)
    if len(file) != weights["bytes"]:
        raise FullintError(
            f"it is truncated: it has {len(file)} bytes of {weights['bytes']}; "
            "get it again from its source"
        )
    if file.sha256() != weights["sha256"]:
        raise FullintError(
            f"it is damaged or of another model: its digest is not the one in {CONFIG}; "
            "get it again from its source"
        )
    return file


def _read_constants(file: TensorFile, constants: Mapping[str, StoredConstant]) -> ConstantTable:
    with _naming("it is not a file of integer tensors"):
        arrays = file.arrays()
    if set(arrays) != set(constants):
        name = min(set(arrays) ^ set(constants))
        raise FullintError(f"it and the constants of {CONFIG} differ in {strict_json.brief(name)}")
    result: dict[str, np.ndarray | PackedConstant] = {}
    for name, constant in constants.items():
        # Unpacking again whenever it is read is only worth it where it saves memory.
        stays_packed = constant.storage in PACKED_TYPES and arrays[name].size >= _PACKED_BYTES
        with _naming(f"tensor {strict_json.brief(name)}"):
            result[name] = (PackedConstant.of if stays_packed else unpack)(arrays[name], *constant)
    return ConstantTable(result)


def _require_directory(path: Path) -> None:
    with _readable_errors():
        mode = path.stat().st_mode
    if not stat.S_ISDIR(mode):
        raise FullintError(f"it is not a folder; give the folder that holds {CONFIG} and {WEIGHTS}")


def _read_file(path: Path, maximum_bytes: int) -> bytes:
    """A file's bytes. Too large a file is not read, a pipe or a device not even opened."""
    with _readable_errors():
        _check_file(path, maximum_bytes)
        with path.open("rb") as file:
            return file.read(maximum_bytes + 1)


def _check_file(path: Path, maximum_bytes: int) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise FullintError("it is not a regular file")
    if status.st_size > maximum_bytes:
        raise FullintError(f"it has {status.st_size} bytes, beyond the {maximum_bytes} expected")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def _naming(subject: str) -> Iterator[None]:
    """Say in an error what it is about."""
    try:
        yield
    except FullintError as error:
        raise FullintError(f"{subject}: {error}") from error
    except MemoryError as error:
        raise FullintError(f"{subject}: there is not enough memory") from error


@contextlib.contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise FullintError("it does not exist") from None
    except OSError as error:
        raise FullintError(f"it cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a path with a zero character
        raise FullintError(f"it cannot be read: {error}") from error
