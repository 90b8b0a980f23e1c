"""Saving, loading, and what is refused of files that are damaged."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer import artifact
from fullint.integer.metadata import ModelMetadata
from fullint.integer.model import IntegerModel, load_model
from fullint.integer.program import IntegerProgram, Operation

from .saved_files import read_config, same_directory, write_config, write_weights


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
