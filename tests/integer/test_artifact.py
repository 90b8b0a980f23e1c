from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer import artifact
from fullint.integer.metadata import ModelMetadata
from fullint.integer.model import IntegerModel, load_model
from fullint.integer.program import IntegerProgram, Operation

Edit = Callable[[dict[str, Any]], object]

same_directory = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def saved(small_model: IntegerModel, tmp_path: Path) -> Path:
    small_model.save(tmp_path / "model")
    return tmp_path / "model"


def read_config(saved: Path) -> dict[str, Any]:
    return json.loads((saved / "config.json").read_bytes())


def write_config(saved: Path, config: dict[str, Any]) -> None:
    """With a digest that fits, as a forger would."""
    rest = json.dumps({name: value for name, value in config.items() if name != "sha256"})[1:]
    digest = hashlib.sha256(rest.encode()).hexdigest()
    (saved / "config.json").write_text(f'{{\n "sha256": "{digest}",\n{rest}')


def write_weights(saved: Path, data: bytes) -> None:
    (saved / "model.safetensors").write_bytes(data)
    config = read_config(saved)
    config["weights"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    write_config(saved, config)


class TestRoundTrip:
    def test_everything_comes_back(self, small_model: IntegerModel, saved: Path) -> None:
        loaded = load_model(saved)
        assert loaded.metadata == small_model.metadata
        assert loaded.program.operations == small_model.program.operations
        assert loaded.program.types == small_model.program.types
        assert loaded.program.logit_scale == small_model.program.logit_scale
        assert list(loaded.program.constants) == list(small_model.program.constants)
        for name, constant in small_model.program.constants.items():
            np.testing.assert_array_equal(loaded.program.constants[name], constant)

    def test_logits_are_the_same(self, small_model: IntegerModel, saved: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
        np.testing.assert_array_equal(load_model(saved)(pixels), small_model(pixels))

    def test_constants_take_their_smallest_type(self, saved: Path) -> None:
        stored = {name: e["storage"] for name, e in read_config(saved)["constants"].items()}
        assert stored == {
            "embed_weight": "int8",
            "embed_bias": "int32",
            "embed_pre_shift": "uint4",
            "embed_multiplier": "int16",
            "embed_shift": "uint8",
            "table": "uint8",
            "channel_shift": "uint4",
            "gamma": "int16",
            "beta": "int32",
            "norm_shift": "uint8",
            "head_weight": "int4",
            "head_bias": "int16",
        }
        arrays = safetensors.numpy.load_file(saved / "model.safetensors")
        assert arrays["head_weight"].dtype == np.uint8
        assert arrays["head_weight"].shape == (18,)  # 35 values
        assert arrays["embed_shift"].shape == ()

    def test_loaded_constants_cannot_be_changed(self, saved: Path) -> None:
        for constant in load_model(saved).program.constants.values():
            assert not constant.flags.writeable

    def test_bytes_are_the_same_each_time(self, saved: Path, tmp_path: Path) -> None:
        load_model(saved).save(tmp_path / "again")
        for name in artifact.FILE_NAMES:
            assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes()

    def test_no_file_but_the_three(self, saved: Path) -> None:
        assert sorted(os.listdir(saved)) == sorted(artifact.FILE_NAMES)

    def test_digest_is_that_of_the_lines_after_the_second(self, saved: Path) -> None:
        rest = b"".join((saved / "config.json").read_bytes().splitlines(keepends=True)[2:])
        assert read_config(saved)["sha256"] == hashlib.sha256(rest).hexdigest()

    def test_a_model_without_metadata(self, small_program: IntegerProgram, tmp_path: Path) -> None:
        IntegerModel(small_program).save(tmp_path / "bare")
        assert load_model(tmp_path / "bare").metadata == ModelMetadata()

    def test_linked_files_are_followed(self, saved: Path, tmp_path: Path) -> None:
        (tmp_path / "links").mkdir()
        for name in artifact.FILE_NAMES:
            (tmp_path / "links" / name).symlink_to(saved / name)
        assert load_model(tmp_path / "links").metadata == load_model(saved).metadata


class TestDamage:
    """Whatever is changed in either file, the model is refused."""

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    @given(data=st.data())
    @same_directory
    def test_a_changed_byte(self, name: str, data: st.DataObject, saved: Path) -> None:
        path = saved / name
        original = path.read_bytes()
        position = data.draw(st.integers(0, len(original) - 1))
        changed = bytearray(original)
        changed[position] ^= data.draw(st.integers(1, 255))
        path.write_bytes(changed)
        try:
            with pytest.raises(FullintError, match=name):
                load_model(saved)
        finally:
            path.write_bytes(original)

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    @given(data=st.data())
    @settings(same_directory, max_examples=30)
    def test_a_cut_or_lengthened_file(self, name: str, data: st.DataObject, saved: Path) -> None:
        path = saved / name
        original = path.read_bytes()
        kept = original[: data.draw(st.integers(0, len(original) - 1))]
        path.write_bytes(data.draw(st.sampled_from([kept, original + b"\n", original + b"\0"])))
        try:
            with pytest.raises(FullintError, match=name):
                load_model(saved)
        finally:
            path.write_bytes(original)

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    def test_a_missing_file(self, name: str, saved: Path) -> None:
        (saved / name).unlink()
        with pytest.raises(FullintError, match=f"{name}: it does not exist"):
            load_model(saved)

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    def test_a_directory_or_a_pipe_instead_of_a_file(self, name: str, saved: Path) -> None:
        (saved / name).unlink()
        (saved / name).mkdir()
        with pytest.raises(FullintError, match="not a regular file"):
            load_model(saved)
        (saved / name).rmdir()
        os.mkfifo(saved / name)
        with pytest.raises(FullintError, match="not a regular file"):
            load_model(saved)

    def test_weights_of_another_model(self, small_program: IntegerProgram, saved: Path) -> None:
        small_program.constants["head_bias"] = small_program.constants["head_bias"] + 1
        IntegerModel(small_program).save(saved.with_name("other"))
        shutil.copy(saved.with_name("other") / "model.safetensors", saved)
        with pytest.raises(FullintError, match="damaged or of another model"):
            load_model(saved)

    def test_an_edited_config_says_so(self, saved: Path) -> None:
        text = (saved / "config.json").read_text().replace("tench", "trout")
        (saved / "config.json").write_text(text)
        with pytest.raises(FullintError, match="damaged or was edited"):
            load_model(saved)

    def test_a_newer_version_says_so(self, saved: Path) -> None:
        config = {**read_config(saved), "schema_version": 3, "new_field": []}
        for write in (
            write_config,
            lambda path, c: (path / "config.json").write_text(json.dumps(c)),
        ):
            write(saved, config)
            with pytest.raises(FullintError, match=r"newer fullint \(format 3.*upgrade"):
                load_model(saved)

    @pytest.mark.parametrize("path", ["absent", "model/config.json", "a\0b", "x" * 300])
    def test_a_path_that_is_no_directory(self, path: str, saved: Path) -> None:
        with pytest.raises(FullintError, match="cannot load"):
            load_model(saved.parent / path)

    def test_a_huge_sparse_file_is_not_read(self, saved: Path) -> None:
        for name in ("model.safetensors", "config.json"):
            os.truncate(saved / name, 1 << 40)
            with pytest.raises(FullintError, match=f"{name}: it has 1099511627776 bytes"):
                load_model(saved)


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


class TestMeasurements:
    def test_a_measurement_is_added_to_config_and_card(self, saved: Path) -> None:
        entry = {"data": "val-1300", "images": 1300, "top1": 80.4615, "float_top1": ""}
        artifact.add_measurement(saved, entry)
        measurements = load_model(saved).metadata.measurements
        assert measurements[1:] == [{"data": "val-1300", "images": 1300, "top1": 80.4615}]
        assert "`val-1300`, 1300 images: top-1 80.46" in (saved / "README.md").read_text()
        assert sorted(os.listdir(saved)) == sorted(artifact.FILE_NAMES)

    def test_the_same_measurement_is_not_repeated(self, saved: Path) -> None:
        before = (saved / "config.json").read_bytes()
        artifact.add_measurement(saved, load_model(saved).metadata.measurements[0])
        assert (saved / "config.json").read_bytes() == before

    def test_a_model_of_the_first_version_keeps_its_constants_as_they_are(
        self, small_model: IntegerModel, saved: Path
    ) -> None:
        arrays = safetensors.numpy.load_file(saved / "model.safetensors")
        arrays["head_weight"] = small_model.program.constants["head_weight"].astype(np.int8)
        config = read_config(saved)
        config["schema_version"] = 1
        config["constants"]["head_weight"]["storage"] = "int8"  # though int4 would hold it
        write_config(saved, config)
        write_weights(saved, safetensors.numpy.save(arrays))
        artifact.add_measurement(saved, {"data": "val-1300", "images": 1300, "top1": 80.0})
        loaded = load_model(saved)
        assert len(loaded.metadata.measurements) == 2
        np.testing.assert_array_equal(
            loaded.program.constants["head_weight"], arrays["head_weight"]
        )

    def test_a_measurement_without_count_is_refused(self, saved: Path) -> None:
        before = (saved / "config.json").read_bytes()
        with pytest.raises(FullintError, match="lacks 'data'"):
            artifact.add_measurement(saved, {"data": "val"})
        assert (saved / "config.json").read_bytes() == before

    def test_metadata_beyond_what_loads_are_not_written(self, saved: Path) -> None:
        before = (saved / "config.json").read_bytes()
        with pytest.raises(FullintError, match="too large"):
            artifact.add_measurement(saved, {"data": "val", "images": 1, "note": "x" * (9 << 20)})
        assert (saved / "config.json").read_bytes() == before


class TestUnsavable:
    def test_a_doctored_program_is_not_saved(
        self, small_program: IntegerProgram, tmp_path: Path
    ) -> None:
        small_program.operations.append(Operation("gelu", ("logits",), "float_logits"))
        with pytest.raises(FullintError, match="unknown integer operation"):
            IntegerModel(small_program).save(tmp_path / "model")
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("values", [np.array([0.5] * 5), np.array([2**40] * 5)])
    def test_constants_other_than_int32_are_not_saved(
        self, values: np.ndarray, small_program: IntegerProgram, tmp_path: Path
    ) -> None:
        small_program.constants["head_bias"] = values
        with pytest.raises(FullintError, match="a constant"):
            IntegerModel(small_program).save(tmp_path / "model")
        assert os.listdir(tmp_path) == []
