"""Constants in their storage types, against bytes by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullint.errors import FullintError
from fullint.integer.storage import least_bytes, pack, storage_type, stored_bytes, unpack


@given(
    st.integers(1, 6),
    st.integers(1, 9),
    st.sampled_from([3, 7, 15, 16, 90, 255, 40_000]),
    st.integers(-128, 100),
    st.integers(0, 2**32 - 1),
)
def test_round_trip(rows: int, columns: int, span: int, lowest: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    starts = random.integers(lowest, 101, (rows, 1))
    constant = starts + random.integers(0, span + 1, (rows, columns))
    storage = storage_type(constant)
    stored = pack(constant, storage)
    assert stored.nbytes == stored_bytes(constant, storage) <= constant.size * 4
    restored = unpack(stored, constant.shape, storage)
    np.testing.assert_array_equal(restored, constant)
    assert not restored.flags.writeable


@given(
    st.lists(
        st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(1, 3000)), min_size=1, max_size=9
    )
)
def test_round_trip_of_runs(parts: list[tuple[int, int]]) -> None:
    values, lengths = zip(*parts, strict=True)
    constant = np.repeat(np.array(values), lengths)
    stored = pack(constant, "runs")
    assert stored[:, 1].max() <= 1024
    assert least_bytes(constant.shape, "runs") <= stored.nbytes == stored_bytes(constant, "runs")
    np.testing.assert_array_equal(unpack(stored, constant.shape, "runs"), constant)
    assert (storage_type(constant) == "runs") == (constant.size >= 1024)


def test_tables_of_few_levels_by_hand() -> None:
    table = np.concatenate([np.full(1500, 2**14), np.full(500, -3), np.full(48, 0)])
    for constant in (table, table.reshape(2, 1024)):
        assert storage_type(constant) == "runs"
        stored = pack(constant, "runs")
        assert stored.tolist() == [[2**14, 1024], [2**14, 476], [-3, 500], [0, 48]]
        assert unpack(stored, constant.shape, "runs").dtype == np.int16
    assert storage_type(np.arange(2048) // 2) == "int16"
    assert storage_type(table[:1000]) == "int16"


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ([[5, 1000], [5, 24]], "could be longer"),
        ([[5, 1024], [6, 0]], "not of 1 to 1024"),
        ([[5, 1025], [6, -1]], "not of 1 to 1024"),
        ([[5, 1000]], "1000 values together"),
        ([[5, 1024, 0]], "expected int32"),
        ([], "expected int32"),
        (np.empty((0, 2)), "0 values together"),
    ],
)
def test_runs_that_are_never_written_are_refused(stored: list[list[int]], message: str) -> None:
    with pytest.raises(FullintError, match=message):
        unpack(np.array(stored, "<i4"), (1024,), "runs")


def test_rows_of_four_bits_by_hand() -> None:
    constant = np.array([[-15, 0, -1, -15], [100, 103, 115, 101], [-3, -3, -3, -3]], np.int8)
    assert storage_type(constant) == "row_uint4"
    stored = pack(constant, "row_uint4")
    assert stored.tobytes().hex(" ") == "f1 64 fd" + " f0 0e" + " 30 1f" + " 00 00"
    restored = unpack(stored, (3, 4), "row_uint4")
    assert restored.dtype == np.int8
    np.testing.assert_array_equal(restored, constant)


@pytest.mark.parametrize(
    ("constant", "storage"),
    [
        (np.array([[0, 15, 3, 4]]), "uint4"),
        (np.array([[-8, 7, 3, 4]]), "int4"),
        (np.array([[-9, 6, 3, 4]]), "row_uint4"),
        (np.array([[-9, 7, 3, 4]]), "int8"),  # spans 16
        (np.array([[16, 31, 20, 20]]), "uint8"),  # stays unsigned, as it is in memory
        (np.array([[-9, 6, 3]]), "int8"),  # three values gain nothing
        (np.array([-9, 6, 3, 4]), "int8"),  # no rows
        (np.array([[-129, -120, -120, -120]]), "int16"),
    ],
)
def test_the_smallest_type_is_chosen(constant: np.ndarray, storage: str) -> None:
    assert storage_type(constant) == storage


@pytest.mark.parametrize(
    ("stored", "shape", "message"),
    [
        ([0, 0, 0, 0, 0, 0], (4,), "is not a matrix"),
        ([0x05, 0x21, 0x32], (1, 4), "whose offset is not their smallest"),
        ([0x7F, 0x10, 0x00], (1, 4), "beyond int8"),
        ([0x05, 0x10, 0x32, 0x00], (1, 4), "expected uint8"),
        ([0x05, 0x10, 0x32], (1, 3), "after its last value"),
    ],
)
def test_rows_that_are_never_written_are_refused(
    stored: list[int], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(FullintError, match=message):
        unpack(np.array(stored, np.uint8), shape, "row_uint4")
