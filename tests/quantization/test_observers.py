"""Observers against brute force over all the data at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from fullint.errors import FullintError
from fullint.quantization.grids import uniform_grid
from fullint.quantization.observers import OBSERVERS, Observer, make_observer

NAMES = ["minmax", "ema", "percentile", "percentile_list", "omse", "mse"]


def heavy_tailed(seed: int, groups: int = 1, elements: int = 3000) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(groups, elements, generator=generator)
    return normal * normal.abs() * torch.arange(1, groups + 1)[:, None] + 0.3


def observed(
    name: str,
    batches: Sequence[Tensor],
    symmetric: bool = False,
    num_bits: int = 8,
    through: Callable[[Tensor], Tensor] | None = None,
) -> Observer:
    observer = make_observer(name, num_bits=num_bits, symmetric=symmetric, through=through)
    for pass_index in range(observer.passes):
        for batch in batches:
            observer.observe(batch, pass_index)
    return observer


def error_of(
    observer: Observer,
    values: Tensor,
    through: Callable[[Tensor], Tensor] = lambda values: values,
    shrink: tuple[float, float] = (1.0, 1.0),
) -> float:
    """Squared error on the raw values of the observed (or a shrunk minmax) range, one group."""
    low, high = (
        end.double() * factor for end, factor in zip(observer.range(), shrink, strict=True)
    )
    grid = uniform_grid(low[0], high[0], num_bits=observer.num_bits, symmetric=observer.symmetric)
    exact = values.double()
    return float((through(grid.fake_quantize(exact)) - through(exact)).square().sum())


def test_all_are_registered() -> None:
    assert sorted(OBSERVERS) == sorted(NAMES)


def test_unknown_observer_names_the_known_ones() -> None:
    with pytest.raises(FullintError, match=r"unknown observer 'max'; known are ema, minmax"):
        make_observer("max", num_bits=8, symmetric=True)


@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=6), min_size=1))
def test_minmax(batches: list[list[float]]) -> None:
    low, high = observed("minmax", [torch.tensor([batch]) for batch in batches]).range()
    flat = np.concatenate(batches).astype(np.float32)
    assert (float(low), float(high)) == (flat.min(), flat.max())


def test_ema_is_the_published_formula() -> None:
    batches = [heavy_tailed(seed) for seed in range(5)]
    low, high = batches[0].min().item(), batches[0].max().item()
    for batch in batches[1:]:
        low += 0.01 * (batch.min().item() - low)
        high += 0.01 * (batch.max().item() - high)
    got = observed("ema", batches).range()
    assert [float(end) for end in got] == pytest.approx([low, high], rel=1e-6)


@pytest.mark.parametrize("elements", [1, 2, 50, 100_001, 300_000])
def test_percentile_is_numpys_quantile_averaged(elements: int) -> None:
    batches = [heavy_tailed(seed, groups=2, elements=elements) for seed in range(3)]
    low, high = np.quantile(batches[0].numpy().astype(np.float64), [1e-5, 1 - 1e-5], axis=1)
    for batch in batches[1:]:
        new = np.quantile(batch.numpy().astype(np.float64), [1e-5, 1 - 1e-5], axis=1)
        low, high = low + 0.01 * (new[0] - low), high + 0.01 * (new[1] - high)
    got_low, got_high = observed("percentile", batches).range()
    np.testing.assert_allclose(got_low, low, rtol=1e-4)
    np.testing.assert_allclose(got_high, high, rtol=1e-4)


@pytest.mark.parametrize("num_bits", [4, 6, 8])
@pytest.mark.parametrize("symmetric", [True, False])
def test_omse_is_the_best_of_ninety_shrink_factors(num_bits: int, symmetric: bool) -> None:
    batches = [heavy_tailed(seed) for seed in range(3)]
    values = torch.cat(batches, dim=1)
    whole = observed("minmax", batches, symmetric, num_bits)
    errors = [
        error_of(whole, values, shrink=(1 - step / 100, 1 - step / 100)) for step in range(90)
    ]
    found = error_of(observed("omse", batches, symmetric, num_bits), values)
    # The observer searches in a histogram of 2048 bins.
    assert found <= min(errors) * 1.03


@pytest.mark.parametrize("name", ["mse", "omse"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_error_minimisers_are_never_worse_than_the_whole_range(
    name: str, symmetric: bool, seed: int
) -> None:
    batches = [heavy_tailed(10 * seed + part) for part in range(2)]
    values = torch.cat(batches, dim=1)
    error = error_of(observed(name, batches, symmetric, 4), values)
    assert error <= error_of(observed("minmax", batches, symmetric, 4), values) * 1.01


def test_mse_moves_the_ends_apart_and_beats_omse_on_a_lopsided_tensor() -> None:
    bulk = torch.linspace(-1, 1, 3000)
    values = torch.cat([bulk, torch.tensor([2.0, 4.0, 6.0])])[None]
    apart, alike = observed("mse", [values], num_bits=4), observed("omse", [values], num_bits=4)
    assert error_of(apart, values) < 0.7 * error_of(alike, values)


def test_mse_is_near_the_best_pair_of_ends() -> None:
    values = heavy_tailed(4)
    whole = observed("minmax", [values], num_bits=4)
    factors = [1 - 0.03 * step for step in range(32)]
    best = min(error_of(whole, values, shrink=(low, high)) for low in factors for high in factors)
    assert error_of(observed("mse", [values], num_bits=4), values) <= best * 1.1


def test_through_puts_the_codes_where_the_next_function_depends_on_them() -> None:
    values = 8 * heavy_tailed(2)
    plain = observed("mse", [values], num_bits=5)
    aware = observed("mse", [values], num_bits=5, through=functional.gelu)
    # Far below zero GELU is zero, whatever the code.
    assert aware.range()[0].item() > plain.range()[0].item()
    assert error_of(aware, values, functional.gelu) < error_of(plain, values, functional.gelu)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("symmetric", [True, False])
def test_groups_are_observed_apart(name: str, symmetric: bool) -> None:
    batches = [heavy_tailed(seed, groups=3) for seed in range(2)]
    together = observed(name, batches, symmetric).range()
    for group in range(3):
        alone = observed(name, [batch[group : group + 1] for batch in batches], symmetric).range()
        for end, expected in zip(together, alone, strict=True):
            assert end.shape == (3,)
            assert float(end[group]) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 2.5, -2.5])
def test_constant_tensors_give_their_value(name: str, value: float) -> None:
    low, high = observed(name, [torch.full((1, 40), value)]).range()
    grid = uniform_grid(low[0], high[0], num_bits=8, symmetric=False)
    kept = grid.fake_quantize(torch.tensor(value, dtype=torch.float64))
    assert float(kept) == pytest.approx(value, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_state_does_not_grow_with_the_number_of_batches(name: str) -> None:
    few = observed(name, [heavy_tailed(seed) for seed in range(2)])
    many = observed(name, [heavy_tailed(seed) for seed in range(30)])
    assert state_size(many) == state_size(few)


def state_size(holder: object) -> int:
    """Elements of all tensors that an object and its parts hold."""
    if isinstance(holder, Tensor):
        return holder.untyped_storage().nbytes()
    if isinstance(holder, list | tuple):
        return sum(map(state_size, holder))
    return sum(map(state_size, vars(holder).values())) if hasattr(holder, "__dict__") else 0


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("num_bits", [4, 8])
def test_percentile_list_takes_the_best_of_three_quantiles(symmetric: bool, num_bits: int) -> None:
    values = heavy_tailed(3, elements=200_000)
    values[0, 0] = 60.0
    observer = observed("percentile_list", list(values.split(50_000, 1)), symmetric, num_bits)
    errors = []
    for percentile in (0.999, 0.9999, 0.99999):
        low, high = (
            values.double().quantile(share, dim=1) for share in (1 - percentile, percentile)
        )
        grid = uniform_grid(low[0], high[0], num_bits=num_bits, symmetric=symmetric)
        errors.append(float((grid.fake_quantize(values) - values).square().sum()))
    assert error_of(observer, values) == pytest.approx(min(errors), rel=0.05)
    assert max(errors) > 1.2 * min(errors)
