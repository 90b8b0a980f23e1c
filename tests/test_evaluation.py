"""Counts and standard errors against brute force, image by image."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from fullint.data import ImageFolder, ImageLoader, Preprocessing
from fullint.errors import FullintError
from fullint.evaluation import Evaluation, Rate, evaluate, ranks_of_labels


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integer logits, float reference logits (B, classes), both with many ties, and labels (B)."""
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 8)))
    logits = draw(hnp.arrays(np.int32, shape, elements=st.integers(-3, 3)))
    halves = st.sampled_from([-np.inf, -1.0, -0.5, 0.0, 0.5, 1.0])
    reference = draw(hnp.arrays(np.float32, shape, elements=halves))
    labels = draw(hnp.arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)))
    return logits, reference, labels


def ranking(logits: np.ndarray) -> list[int]:
    """Class indices, best first, by a stable sort: equal logits keep the order of the classes."""
    return sorted(range(len(logits)), key=lambda index: -logits[index])


@given(problems())
def test_counts_equal_brute_force(problem: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    logits, reference, labels = problem
    ours = [ranking(row) for row in logits]
    theirs = [ranking(row) for row in reference]
    right = [int(order[0] == y) for order, y in zip(ours, labels, strict=True)]
    reference_right = [int(order[0] == y) for order, y in zip(theirs, labels, strict=True)]

    result = Evaluation.of_batch(logits, labels, reference)
    assert result.images == len(labels)
    assert result.k == min(5, logits.shape[1])
    assert result.top1 == sum(right)
    assert result.top5 == sum(y in order[:5] for order, y in zip(ours, labels, strict=True))
    comparison = result.comparison
    assert comparison is not None
    assert comparison.top1 == sum(reference_right)
    assert comparison.top5 == sum(y in order[:5] for order, y in zip(theirs, labels, strict=True))
    assert comparison.agreeing == sum(a[0] == b[0] for a, b in zip(ours, theirs, strict=True))

    differences = [a - b for a, b in zip(right, reference_right, strict=True)]
    paired = result.top1_difference()
    assert paired is not None
    root = math.sqrt(len(labels))
    assert paired.percent == pytest.approx(100 * statistics.fmean(differences))
    assert paired.standard_error == pytest.approx(100 * statistics.pstdev(differences) / root)
    accuracy = result.rate(result.top1)
    assert accuracy.percent == pytest.approx(100 * statistics.fmean(right))
    assert accuracy.standard_error == pytest.approx(100 * statistics.pstdev(right) / root)


@given(problems(), st.data())
def test_batches_add_up(
    problem: tuple[np.ndarray, np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    logits, reference, labels = problem
    cut = data.draw(st.integers(0, len(labels)))
    parts = [
        Evaluation.of_batch(logits[part], labels[part], reference[part])
        for part in (slice(None, cut), slice(cut, None))
    ]
    assert parts[0] + parts[1] == Evaluation.of_batch(logits, labels, reference)


def test_ties_rank_by_class_index() -> None:
    logits = np.array([[7, 7, 7, 7]] * 4)
    assert ranks_of_labels(logits, np.arange(4)).tolist() == [0, 1, 2, 3]


def batches(pixels: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    indices = np.arange(len(pixels))
    for start in range(0, len(pixels), size):
        yield pixels[start : start + size], indices[start : start + size]


def test_evaluate_streams_batches_and_reports_progress() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (23, 1, 1, 10), dtype=np.uint8)
    labels = random.integers(0, 10, 23)

    def predict(batch: np.ndarray) -> np.ndarray:
        return batch.reshape(-1, 10).astype(np.int32) >> 4

    def reference(batch: np.ndarray) -> np.ndarray:
        return batch.reshape(-1, 10) / 255

    done: list[int] = []
    result = evaluate(predict, batches(pixels, 5), labels, reference, done.append)
    assert result == Evaluation.of_batch(predict(pixels), labels, reference(pixels))
    assert done == [5, 10, 15, 20, 23]
    without = evaluate(predict, batches(pixels, 7), labels.tolist())
    assert without.comparison is None
    assert without.top1_difference() is None
    assert without.top1 == result.top1


def test_skipped_images_are_counted_and_their_labels_left_out(tmp_path: Path) -> None:
    for index, name in enumerate(["a/0.png", "a/1.png", "b/2.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / name)
    (tmp_path / "a" / "1.png").write_bytes(b"")
    spec = Preprocessing(8, 8, 3, 1.0, "center", "bicubic", (0.5,) * 3, (0.5,) * 3)
    loader = ImageLoader(ImageFolder.scan(tmp_path).paths, spec)

    def predict(pixels: np.ndarray) -> np.ndarray:
        return np.eye(4, dtype=np.int32)[pixels[:, 0, 0, 0]]

    result = evaluate(predict, loader, labels=[0, 3, 2])
    assert (result.images, result.top1, result.skipped) == (2, 2, 1)
    assert str(result).endswith("skipped 1 images that could not be decoded")


def test_renders_like_timm_s_validation_line() -> None:
    # 1048 and 1225 of 1300 are what DeiT-tiny gets right on the ILSVRC subset of the README.
    logits = np.zeros((1300, 10), np.int32)
    reference = np.zeros((1300, 10), np.float32)
    labels = np.repeat([0, 1, 9], [1048, 177, 75])
    reference[:3, 1] = 1
    result = Evaluation.of_batch(logits, labels, reference)
    assert str(result).splitlines() == [
        "integer Acc@1 80.62 (± 1.10) Acc@5 94.23 (± 0.65) n=1300",
        "float   Acc@1 80.38 (± 1.10) Acc@5 94.23 (± 0.65) n=1300",
        "agreement 99.77 (± 0.13) top-1 difference +0.23 (± 0.13)",
    ]
    small = Evaluation.of_batch(np.array([[1, 2, 3]]), np.array([0]))
    assert str(small) == "integer Acc@1 0.00 (± 0.00) Acc@3 100.00 (± 0.00) n=1"


def test_row_has_the_same_columns_with_and_without_a_reference() -> None:
    logits, labels = np.eye(4, dtype=np.int32), np.array([0, 1, 3, 3])
    with_reference = Evaluation.of_batch(logits, labels, logits.astype(float)).row()
    without = Evaluation.of_batch(logits, labels).row()
    assert list(with_reference) == list(without)
    assert with_reference["top1"] == without["top1"] == 75.0
    assert with_reference["agreement"] == 100.0
    assert without["agreement"] == ""
    assert without["top1_standard_error"] == round(100 * math.sqrt(0.75 * 0.25 / 4), 4)
    assert all(isinstance(value, (int, float, str)) for value in with_reference.values())


def test_a_perfect_score_has_no_spread() -> None:
    assert Evaluation(10, 10, 10, 5).rate(10) == Rate(100.0, 0.0)


@pytest.mark.parametrize(
    ("logits", "labels", "reference", "message"),
    [
        (np.zeros((1, 3)), [3], None, "the model has the classes 0 to 2"),
        (np.zeros((1, 3)), [-1], None, "labels reach from -1 to -1"),
        (np.full((1, 3), np.nan), [0], None, "NaN"),
        (np.zeros((1, 3)), [0], np.array([[np.nan, 0, 0]]), "NaN"),
        (np.zeros((1, 3)), [0], np.zeros((1, 4)), "reference gives 4 logits .* integer model 3"),
    ],
)
def test_refuses_what_cannot_be_ranked(
    logits: np.ndarray, labels: list[int], reference: Any, message: str
) -> None:
    with pytest.raises(FullintError, match=message):
        Evaluation.of_batch(logits, labels, reference)


def test_refuses_an_empty_set() -> None:
    with pytest.raises(FullintError, match="no images to evaluate"):
        evaluate(lambda pixels: pixels, [], [])


def test_evaluations_of_different_kinds_do_not_add() -> None:
    logits, labels = np.eye(4, dtype=np.int32), np.arange(4)
    with pytest.raises(ValueError, match="different kinds"):
        Evaluation.of_batch(logits, labels) + Evaluation.of_batch(logits, labels, logits)
