"""Saved models whose digests fit, made by hand to do harm."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer.model import IntegerModel, load_model

from .saved_files import read_config, same_directory, write_config, write_weights

Edit = Callable[[dict[str, Any]], object]


def remove_field(config: dict[str, Any]) -> None:
    del config["program"]["operations"][1]["source"]


MALICIOUS: dict[str, tuple[Edit, str]] = {
    "unknown operation": (
        lambda c: c["program"]["operations"][3].update(kind="gelu"),
        "unknown integer operation 'gelu'",
    ),
    "float attribute": (
        lambda c: c["program"]["operations"][2]["attributes"].update(zero_point=1.0),
        r"attributes.zero_point is 1.0, expected an integer",
    ),
    "boolean attribute": (
        lambda c: c["program"]["operations"][2]["attributes"].update(zero_point=True),
        "is True, expected an integer",
    ),
    "missing attribute": (
        lambda c: c["program"]["operations"][2]["attributes"].pop("low"),
        "attributes",
    ),
    "missing field": (remove_field, r"operations\[1\] lacks the field 'source'"),
    "extra field": (lambda c: c["program"].update(hook="os.system"), "unknown field 'hook'"),
    "extra top field": (lambda c: c.update(extra=1), "unknown field 'extra'"),
    "old version": (lambda c: c.update(schema_version=0), "schema_version is 0"),
    "boolean version": (lambda c: c.update(schema_version=True), "schema_version is True"),
    "negative scale": (lambda c: c["program"].update(logit_scale=-1.0), "positive"),
    "scale of another type": (lambda c: c["program"].update(logit_scale="1"), "logit_scale is '1'"),
    "huge constant": (
        lambda c: c["constants"]["head_weight"].update(shape=[2**16, 2**16]),
        "beyond 67108864 elements",
    ),
    "larger constant": (
        lambda c: c["constants"]["head_weight"].update(shape=[2**12, 2**12]),
        "weights.bytes is",
    ),
    "negative size": (
        lambda c: c["constants"]["head_weight"].update(shape=[-5, -7]),
        "is -5, expected an integer",
    ),
    "many large tables": (
        lambda c: c["constants"].update(
            {f"table{i}": {"shape": [2**20], "storage": "runs"} for i in range(65)}
        ),
        "68157440 elements together",
    ),
    "many axes": (
        lambda c: c["constants"]["head_weight"].update(shape=[1] * 17),
        "17 axes",
    ),
    "other storage": (
        lambda c: c["constants"]["head_weight"].update(storage="float32"),
        "storage is 'float32'",
    ),
    "storage of another size": (
        lambda c: c["constants"]["gamma"].update(storage="uint8"),
        "tensor 'gamma': is int16",
    ),
    "constant more": (
        lambda c: c["constants"].update(more={"shape": [], "storage": "int8"}),
        "differ in 'more'",
    ),
    "constant less": (lambda c: c["constants"].pop("gamma"), "differ in 'gamma'"),
    "claims a large file": (lambda c: c["weights"].update(bytes=2**50), "weights.bytes is"),
    "escape sequence in a name": (
        lambda c: c["program"].update(output="\x1b[2J"),
        "expected a short printable text",
    ),
    "long name": (lambda c: c["program"].update(output="x" * 1000), "short printable text"),
    "class names of another model": (
        lambda c: c["metadata"].update(class_names=["a"]),
        "1 entries for 5 classes",
    ),
    "preprocessing of another model": (
        lambda c: c["metadata"]["preprocessing"].update(height=8),
        "the program takes",
    ),
    "measurement without a count": (
        lambda c: c["metadata"]["measurements"][0].pop("images"),
        "measurement lacks",
    ),
    "provenance of another type": (
        lambda c: c["metadata"]["provenance"].update(float_bytes="many"),
        "provenance.float_bytes is 'many', expected int",
    ),
    "overflowing accumulator": (
        lambda c: c["program"]["operations"].insert(
            6,
            {
                "kind": "matmul",
                "inputs": ["normalised", "normalised"],
                "output": "square",
                "attributes": {"zero_a": 2**30, "zero_b": 2**30},
                "source": "",
            },
        ),
        "square",
    ),
}


class TestMalice:
    """Files whose digests fit, made by hand to do harm."""

    @pytest.mark.parametrize("case", MALICIOUS)
    def test_a_forged_config(self, case: str, saved: Path) -> None:
        edit, message = MALICIOUS[case]
        config = read_config(saved)
        edit(config)
        write_config(saved, config)
        with pytest.raises(FullintError, match=message):
            load_model(saved)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('{"a": 1, "a": 2}', "a key occurs twice"),
            ('{"a": NaN}', "not finite"),
            ('{"a": -Infinity}', "not finite"),
            ('{"a": 1e999}', "not finite"),
            (f'{{"a": {10**30}}}', "exceeds 64 bits"),
            (f'{{"a": {"9" * 5000}}}', "not valid JSON"),
            ('{"a": ' + "[" * 100_000, "nested too deeply"),
            ("[]", "expected an object"),
            ("", "not valid JSON"),
            ("\ufeff{}", "not valid JSON"),
        ],
    )
    def test_the_traps_of_json(self, text: str, message: str, saved: Path) -> None:
        (saved / "config.json").write_text(text, encoding="utf-8")
        with pytest.raises(FullintError, match=message):
            load_model(saved)

    @pytest.mark.parametrize(
        "dtype", [np.float32, np.float16, np.float64, np.bool_, np.int64, np.uint16]
    )
    def test_weights_of_another_type(self, dtype: type, saved: Path) -> None:
        arrays = safetensors.numpy.load_file(saved / "model.safetensors")
        arrays["gamma"] = arrays["gamma"].astype(dtype)
        write_weights(saved, safetensors.numpy.save(arrays))
        with pytest.raises(FullintError, match=r"weights.bytes is|'gamma' has the type"):
            load_model(saved)

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda h: h["gamma"].update(dtype=["I16"]), "has the type a list"),
            (lambda h: h["gamma"].update(dtype="F32"), "has the type 'F32'"),
            (lambda h: h["gamma"].update(shape=[2**20] * 17), "17 axes"),
            (lambda h: h["gamma"].update(shape=[-7]), "is -7, expected"),
            (lambda h: h["gamma"].update(data_offsets=[-14, 0]), "is -14, expected"),
            (lambda h: h["gamma"].update(data_offsets=[0]), "other offsets than its shape"),
            (lambda h: h["gamma"].update(data_offsets=[2**40, 2**40 + 14]), "is 1099511627776"),
            (lambda h: h["gamma"].update(data_offsets=h["beta"]["data_offsets"]), "other offsets"),
            (
                lambda h: h["gamma"].update(data_offsets=[0, _length(h["gamma"])]),
                "overlap or leave a gap",
            ),
            (lambda h: h.pop("gamma"), "overlap or leave a gap"),
        ],
    )
    def test_a_forged_table_of_tensors(self, edit: Edit, message: str, saved: Path) -> None:
        data = (saved / "model.safetensors").read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:start])
        edit(header)
        text = json.dumps(header).encode()
        write_weights(saved, len(text).to_bytes(8, "little") + text + data[start:])
        with pytest.raises(FullintError, match=message):
            load_model(saved)

    def test_bytes_behind_the_last_tensor(self, saved: Path) -> None:
        write_weights(saved, (saved / "model.safetensors").read_bytes() + b"\0" * 8)
        with pytest.raises(FullintError, match="overlap or leave a gap"):
            load_model(saved)

    def test_bits_after_the_last_packed_value(self, saved: Path) -> None:
        arrays = safetensors.numpy.load_file(saved / "model.safetensors")
        packed = arrays["head_weight"].copy()
        packed[-1] |= 0x10
        write_weights(saved, safetensors.numpy.save({**arrays, "head_weight": packed}))
        with pytest.raises(FullintError, match="bits after its last value"):
            load_model(saved)

    def test_a_program_of_huge_tensors(self, saved: Path) -> None:
        config = read_config(saved)
        operations = config["program"]["operations"]
        operations.extend(
            {
                "kind": "concat",
                "inputs": [f"rows{'' if i == 0 else i}"] * 2,
                "output": f"rows{i + 1}",
                "attributes": {"dim": 1},
                "source": "",
            }
            for i in range(200)
        )
        write_config(saved, config)
        with pytest.raises(FullintError, match="the limits are"):
            load_model(saved)

    @given(data=st.data())
    @settings(same_directory, max_examples=300)
    def test_random_safetensors_headers(self, data: st.DataObject, saved: Path) -> None:
        path = saved / "model.safetensors"
        original, config = path.read_bytes(), (saved / "config.json").read_bytes()
        changed = bytearray(original)
        header_end = 8 + int.from_bytes(original[:8], "little")
        for _ in range(data.draw(st.integers(1, 3))):
            changed[data.draw(st.integers(0, header_end - 1))] = data.draw(st.integers(0, 255))
        write_weights(saved, bytes(changed))
        try:
            load_or_refuse(saved)
        finally:
            path.write_bytes(original)
            (saved / "config.json").write_bytes(config)

    @given(data=st.data())
    @settings(same_directory, max_examples=500)
    def test_random_forgeries(self, data: st.DataObject, saved: Path) -> None:
        """What is not refused runs: the type rules prove that the arithmetic cannot fail."""
        original = (saved / "config.json").read_bytes()
        config = read_config(saved)
        for _ in range(data.draw(st.integers(1, 3))):
            subtree = config["program"] if isinstance(config.get("program"), dict) else config
            forge(data.draw(st.sampled_from([config, subtree])), data)
        write_config(saved, config)
        try:
            model = load_or_refuse(saved)
            if model is not None:
                height, width, channels = model.input_size
                logits = model(np.full((2, height, width, channels), 255, dtype=np.uint8))
                bounds = model.program.output_type
                assert logits.dtype == np.int32
                assert bounds.low <= logits.min() <= logits.max() <= bounds.high
        finally:
            (saved / "config.json").write_bytes(original)


def _length(entry: dict[str, Any]) -> int:
    begin, end = entry["data_offsets"]
    return int(end - begin)


def load_or_refuse(saved: Path) -> IntegerModel | None:
    """The model, or None where it is refused as it should be; any other exception is a failure."""
    try:
        return load_model(saved)
    except FullintError:
        return None


def forge(document: dict[str, Any], data: st.DataObject) -> None:
    """Replace, remove or copy one value somewhere in the document."""
    spots = list(places(document))
    if not spots:
        return
    parent, key = spots[data.draw(st.integers(0, len(spots) - 1))]
    others = [other[name] for other, name in spots if isinstance(other, type(parent))]
    action = data.draw(st.sampled_from(["replace", "replace", "copy", "remove"]))
    if action == "remove":
        del parent[key]
    elif action == "copy":
        value = others[data.draw(st.integers(0, len(others) - 1))]
        parent[key] = json.loads(json.dumps(value))
    else:
        integers = st.integers(-3, 9) | st.sampled_from([2**k for k in (7, 15, 31, 40, 62)])
        scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False) | st.text()
        names = st.sampled_from(["pixels", "rows", "embed", "gamma", "table", "head_weight"])
        parent[key] = data.draw(integers | names | scalars | st.lists(scalars, max_size=3))


def places(node: Any) -> Any:
    """Every (container, key) in a document, the digest aside."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(items):
        if key == "sha256":
            continue
        yield node, key
        if isinstance(value, (dict, list)):
            yield from places(value)
