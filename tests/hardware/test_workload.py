"""What units are sent of a model's run, whatever its softmax."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("amaranth", reason="needs the extra 'hardware'")

from fullint.errors import FullintError
from fullint.hardware.softmax_cases import E2SoftmaxCase, Log2SoftmaxCase
from fullint.hardware.workload import ModelRun
from fullint.integer.program import Operation
from fullint.integer.types import TensorType

OCTAVES = np.array([3.0, 0.0, 1.25, 2.5, 40.0])  # below the maximum
SHIFT = 7
# Kind, attributes, and steps an octave of what the operation makes of its scores.
KINDS = [
    ("log2_softmax", {"rounding": 512}, 1024),
    ("softmax", {}, 1024),
    ("table_softmax", {}, 1024),
    ("exponentials", {}, 1024),
    ("shiftmax", {"fraction_bits": 4, "natural": 0}, 16),
    ("shiftmax", {"fraction_bits": 3, "natural": 1}, 8 * 16 / 23),
    ("e2softmax", {"fraction_bits": 0, "natural": 0, "zero_point": 128}, 1),
    ("e2softmax", {"fraction_bits": 2, "natural": 1, "zero_point": 128}, 4 * 16 / 23),
    ("itamax", {"fraction_bits": 0, "zero_point": 128}, 1),
]


def run_of(kind: str, attributes: dict[str, int], steps: float) -> ModelRun:
    """One softmax on one row, with scores of 2^7 times its steps."""
    scores = np.rint(-OCTAVES * steps * 2**SHIFT)[None, None].astype(np.int64)
    constants = {"pre_shift": np.array(0), "multiplier": np.array(1), "shift": np.array(SHIFT)}
    operation = Operation(kind, ("scores", *constants), "weights", attributes)
    return ModelRun(SimpleNamespace(constants=constants), [(operation, scores)])


@pytest.mark.parametrize(("kind", "attributes", "steps"), KINDS)
def test_codes_are_in_the_steps_of_the_unit(kind, attributes, steps):
    run = run_of(kind, attributes, steps)
    assert run.longest_row() == 5
    for fraction_bits, natural in ((2, False), (3, True)):
        wanted = 2**fraction_bits * (16 / 23 if natural else 1)
        found = run.softmax_codes(fraction_bits, natural)
        assert found.tolist() == [(255 - np.minimum(np.rint(OCTAVES * wanted), 255)).tolist()]


@pytest.mark.parametrize("kind", ["e2softmax", "itamax"])
def test_codes_in_the_same_steps_are_those_of_the_operation(kind):
    run = run_of(kind, {"fraction_bits": 2, "natural": 0, "zero_point": 100}, 4)
    assert run.softmax_codes(2).tolist() == [[88, 100, 95, 90, 0]]


@pytest.mark.parametrize("case", [E2SoftmaxCase(2, 4), Log2SoftmaxCase(2, 4)])
def test_rows_longer_than_the_unit_s_are_refused(case):
    with pytest.raises(FullintError, match="rows have 5 elements, the unit's at most 4"):
        case.model_vectors(run_of(*KINDS[0]))


def test_a_layer_norm_of_more_than_eight_bits_is_refused():
    program = SimpleNamespace(types={"x": TensorType((4,), 0, 255)}, constants={})
    for low, high, said in ((0, 4095, "gives codes of 0 to 4095"), (-128, 200, "-128 to 200")):
        operation = Operation("layer_norm", ("x",), "y", {"low": low, "high": high, "zero_x": 0})
        run = ModelRun(program, [(operation, np.zeros((1, 1, 4)))])
        with pytest.raises(FullintError, match=said):
            run.tokens("layer_norm")
