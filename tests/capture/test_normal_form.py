"""The operations of the normal form against their definitions."""

from __future__ import annotations

import pytest
import torch

from fullint.capture import normal_form
from fullint.errors import FullintError


def test_concat_expands_a_constant_to_the_batch() -> None:
    token, tokens = torch.rand(1, 1, 4), torch.rand(3, 2, 4)
    result = normal_form.concat([token, tokens], 1)
    assert result.shape == (3, 3, 4)
    assert torch.equal(result[2, 0], token[0, 0])


def test_slice_takes_start_to_stop() -> None:
    assert normal_form.slice(torch.arange(10).view(2, 5), 1, 1, 3).tolist() == [[1, 2], [6, 7]]


def test_roll_goes_towards_higher_indices() -> None:
    assert normal_form.roll(torch.arange(4), (1,), (0,)).tolist() == [3, 0, 1, 2]


def test_layer_norm() -> None:
    x, weight, bias = torch.rand(2, 3, 8), torch.rand(8), torch.rand(8)
    deviation = x - x.mean(-1, keepdim=True)
    expected = deviation / (deviation.square().mean(-1, keepdim=True) + 1e-3).sqrt() * weight + bias
    torch.testing.assert_close(normal_form.layer_norm(x, weight, bias, 1e-3), expected)


@pytest.mark.parametrize("kind", normal_form.ACTIVATIONS)
def test_activations_are_elementwise(kind: str) -> None:
    x = torch.linspace(-4, 4, 9)
    whole = normal_form.activation(x, kind)
    assert whole.shape == x.shape
    torch.testing.assert_close(normal_form.activation(x[3:4], kind), whole[3:4])


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(FullintError, match="activation 'swish' is unknown; use one of gelu"):
        normal_form.activation(torch.zeros(1), "swish")
