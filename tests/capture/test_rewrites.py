"""Operators that timm's own models use rarely or not at all, in a small model around each."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fullint.capture.normal_form import VOCABULARY
from fullint.capture.rewrites.registry import find_rewrite, rewrites


class Around(nn.Module):
    """Patches as tokens (batch, 16, 8), a function of them, their average, a head."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.weight = nn.Parameter(torch.rand(8, 8))
        self.function = function
        self.head = nn.Linear(8, 5)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.patches(image).flatten(2).mT
        logits: Tensor = self.head(self.function(self, tokens).mean(1))
        return logits


def heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (2, 4)).transpose(1, 2)


def _batch_norm(m: Any, x: Tensor) -> Tensor:
    return functional.batch_norm(x, m.weight[0], m.weight[1], m.weight[2], m.weight[3])


FUNCTIONS: dict[str, Any] = {
    "matmul with a parameter": lambda m, x: x @ m.weight,
    "bmm": lambda m, x: torch.bmm(x, x.mT).softmax(-1) @ x,
    "scores scaled after the product": lambda m, x: (x @ x.mT / 3).softmax(-1) @ x,
    "values scaled": lambda m, x: ((x @ x.mT).softmax(-1) @ x) * 0.5,
    "own scale": lambda m, x: functional.scaled_dot_product_attention(x, x, x, scale=0.2),
    "mask": lambda m, x: functional.scaled_dot_product_attention(x, x, x, torch.eye(16)),
    "mask that hides nothing": lambda m, x: functional.scaled_dot_product_attention(
        x, x, x, torch.ones(16, 16, dtype=torch.bool)
    ),
    "constant query": lambda m, x: functional.scaled_dot_product_attention(
        m.weight.expand(x.shape[0], -1, -1), x, x
    ),
    "sum": lambda m, x: x.sum(1, keepdim=True),
    "layer norm without parameters": lambda m, x: functional.layer_norm(x, (8,)),
    "scaled layer norm": lambda m, x: functional.layer_norm(x, (8,)) * m.weight[0],
    "scaled linear without bias": lambda m, x: functional.linear(x, m.weight) * m.weight[1],
    "batch norm of tokens": lambda m, x: (
        _batch_norm(m, functional.linear(x, m.weight, m.weight[4]).mT).mT
    ),
    "batch norm of flattened tokens": lambda m, x: _batch_norm(
        m, functional.linear(x, m.weight).flatten(0, 1)
    ).reshape(x.shape),
    "batch norm without parameters": lambda m, x: (
        functional.batch_norm(functional.linear(x, m.weight).mT, m.weight[0], m.weight[1]).mT
    ),
    "scale of a scale": lambda m, x: 2 * (x * 3),
    "scale by one": lambda m, x: x * 1.0,
    "add with a factor": lambda m, x: torch.add(x, functional.relu(x), alpha=2),
    "add a number": lambda m, x: x + 1.5,
    "subtract a constant": lambda m, x: x - m.weight[0],
    "divide by a constant": lambda m, x: x / torch.tensor(4.0),
    "sigmoid gate": lambda m, x: x * torch.sigmoid(x),
    "in place": lambda m, x: x.clone().mul_(2).add_(1).relu_(),
    "chunk": lambda m, x: torch.cat(x.chunk(3, 1)[::-1], 1),
    "split": lambda m, x: torch.cat(x.split([5, 11], 1)[::-1], 1),
    "split channels": lambda m, x: torch.cat(functional.linear(x, m.weight).split(4, -1)[::-1], -1),
    "narrow": lambda m, x: x.narrow(1, 3, 4),
    "negative slice": lambda m, x: x[:, -5:-1],
    "every other": lambda m, x: torch.cat([x[:, 0::2], x[:, 1::2]], -1)[..., 4:12],
    "stack": lambda m, x: torch.stack([x, 2 * x], 1).flatten(1, 2),
    "heads and back": lambda m, x: heads(x).transpose(1, 2).flatten(2),
    "pad before and after": lambda m, x: functional.pad(x, (0, 0, 2, 3), value=0.5),
    "squeeze": lambda m, x: x.unsqueeze(1).squeeze(1),
    "adaptive pooling": lambda m, x: functional.adaptive_avg_pool1d(x.mT, 1).mT,
    "pooled map": lambda m, x: (
        functional.adaptive_avg_pool2d(x.mT.unflatten(2, (4, 4)), 1).flatten(2).mT
    ),
    "convolution of one pixel": lambda m, x: (
        functional.conv2d(x.mT.unflatten(2, (4, 4)), m.weight[:, :, None, None]).flatten(2).mT
    ),
    "second patch convolution": lambda m, x: (
        functional.conv2d(
            x.mT.unflatten(2, (4, 4)),
            m.weight.unflatten(1, (8, 1, 1)).expand(-1, -1, 2, 2),
            stride=2,
        )
        .flatten(2)
        .mT
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_captured_exactly(captured: Any, name: str) -> None:
    torch.manual_seed(0)
    captured(Around(FUNCTIONS[name]))


def test_two_rewrites_of_one_operator_are_refused() -> None:
    assert find_rewrite("aten.linear.default") is not None
    with pytest.raises(ValueError, match=r"aten\.linear\.default has two rewrites"):
        rewrites("aten.linear.default")(lambda build: None)


def test_the_vocabulary_is_what_the_module_defines() -> None:
    assert len({function.__name__ for function in VOCABULARY}) == len(VOCABULARY) == 13
