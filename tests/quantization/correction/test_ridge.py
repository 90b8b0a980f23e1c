"""Bias correction and ridge regression against least squares over the rows themselves."""

from __future__ import annotations

import numpy as np
import pytest

from fullint.quantization.correction.activation_ridge import (
    STRENGTHS,
    regress_on_rounded_inputs,
    validated_strength,
)
from fullint.quantization.correction.bias_correction import correct_bias
from fullint.quantization.correction.layers import LayerProblem
from fullint.recipes.steps import ActivationRidgeConfig, BiasCorrectionConfig

from .problems import error, inputs, problem, rounded

EXACT = inputs()
GIVEN = rounded(EXACT * 0.9)


def least_squares(
    layer: LayerProblem, exact: np.ndarray, given: np.ndarray, strength: float
) -> np.ndarray:
    """Changes of weight and bias (unknowns, outputs): one row more for each penalised weight."""
    count = given.shape[1]
    root = np.sqrt(strength * np.mean(GIVEN**2)) * np.eye(count)
    rows = given
    if layer.bias is not None:
        rows = np.hstack([given, np.ones((len(given), 1))])
        root = np.hstack([root, np.zeros((count, 1))])
    target = np.vstack([error(layer, exact, given), np.zeros((count, len(layer.weight)))])
    return np.linalg.lstsq(np.vstack([rows, root]), target, rcond=None)[0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("strength", [0.01, 3.0, 1000.0])
def test_ridge_is_least_squares_with_penalty_rows(strength: float, bias: bool) -> None:
    layer = problem(EXACT, GIVEN, bias=bias)
    expected = least_squares(layer, EXACT, GIVEN, strength)
    before, grid = layer.weight, layer.grid
    regress_on_rounded_inputs(layer, ActivationRidgeConfig(strength=strength))
    change = (layer.weight - before).numpy()
    assert np.allclose(change, expected[:6].T, atol=1e-9)
    if bias:
        assert np.allclose((layer.bias - layer.reference_bias).numpy(), expected[6], atol=1e-9)
    else:
        assert layer.bias is None
    largest = layer.weight.abs().amax(dim=1)
    assert bool((layer.grid.scale[:, 0] <= largest / 3 + 1e-6).all())
    assert not bool((layer.grid.scale == grid.scale).any())


def test_weak_ridge_lowers_the_error_and_strong_ridge_is_bias_correction() -> None:
    weak, strong, bias_only = (problem(EXACT, GIVEN) for _ in range(3))
    plain = (error(weak, EXACT, GIVEN) ** 2).sum()
    regress_on_rounded_inputs(weak, ActivationRidgeConfig(strength=1e-6))
    assert (error(weak, EXACT, GIVEN) ** 2).sum() < 0.3 * plain
    regress_on_rounded_inputs(strong, ActivationRidgeConfig(strength=1e12))
    correct = bias_only.bias.numpy() + error(bias_only, EXACT, GIVEN).mean(0)
    assert np.allclose(strong.weight, bias_only.weight, atol=1e-6)
    assert np.allclose(strong.bias, correct, atol=1e-6)


def test_later_ridge_still_aims_at_the_float_model() -> None:
    layer = problem(EXACT, GIVEN)
    layer.weight = layer.weight + 0.3
    regress_on_rounded_inputs(layer, ActivationRidgeConfig(strength=1e-9))
    once = problem(EXACT, GIVEN)
    regress_on_rounded_inputs(once, ActivationRidgeConfig(strength=1e-9))
    assert np.allclose(layer.weight, once.weight, atol=1e-5)


def test_strength_is_that_of_least_error_on_rows_left_out() -> None:
    random = np.random.default_rng(5)
    for rows, noise in ((16, 1.0), (64, 3.0), (800, 0.3)):
        exact = inputs(rows)
        given = exact + noise * random.normal(size=exact.shape)
        layer = problem(exact, given)
        scale = np.mean(given**2) / np.mean(GIVEN**2)
        losses = []
        for strength in STRENGTHS:
            loss = 0.0
            for part in range(4):
                left_out = np.arange(rows) % 4 == part
                change = least_squares(layer, exact[~left_out], given[~left_out], strength * scale)
                ones = np.ones((left_out.sum(), 1))
                missing = error(layer, exact[left_out], given[left_out])
                loss += ((missing - np.hstack([given[left_out], ones]) @ change) ** 2).sum()
            losses.append(loss)
        assert validated_strength(layer) == STRENGTHS[int(np.argmin(losses))]


def test_few_tokens_change_the_bias_alone() -> None:
    layer = problem(EXACT[:5], GIVEN[:5])
    grid = layer.grid
    regress_on_rounded_inputs(layer, ActivationRidgeConfig(strength=1e-6))
    assert np.array_equal(layer.weight, layer.reference_weight) and layer.grid is grid
    assert np.allclose(error(layer, EXACT[:5], GIVEN[:5]).mean(0), 0, atol=1e-9)
    assert not np.allclose(layer.bias, layer.reference_bias)


@pytest.mark.parametrize("strength", [None, 1000.0])
def test_inputs_that_are_all_zero_leave_the_weights(strength: float | None) -> None:
    layer = problem(np.zeros((40, 6)), np.zeros((40, 6)))
    before = layer.weight
    regress_on_rounded_inputs(layer, ActivationRidgeConfig(strength=strength))
    assert np.array_equal(layer.weight, before)
    assert np.array_equal(layer.bias, layer.reference_bias)


def test_bias_correction_leaves_no_mean_error() -> None:
    layer = problem(EXACT, GIVEN)
    correct_bias(layer, BiasCorrectionConfig())
    weight = layer.weight
    layer.weight = layer.grid.fake_quantize(weight)
    assert np.allclose(error(layer, EXACT, GIVEN).mean(0), 0, atol=1e-9)
    assert np.array_equal(weight, layer.reference_weight)


def test_bias_correction_of_a_layer_without_bias_does_nothing() -> None:
    layer = problem(EXACT, GIVEN, bias=False)
    correct_bias(layer, BiasCorrectionConfig())
    assert layer.bias is None and np.array_equal(layer.weight, layer.reference_weight)
