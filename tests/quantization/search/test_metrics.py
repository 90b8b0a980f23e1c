"""Metrics against the models' own tensors and arithmetic by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, fx

from fullint.capture import normal_form
from fullint.quantization.graph import GraphRunner
from fullint.quantization.search.metrics import Metric
from fullint.quantization.search.metrics.base import OutputMetric
from fullint.quantization.search.samples import SampledProduct

from ...small_models import pixels
from .common import sampled


def by_name(samples: list[SampledProduct], name: str) -> SampledProduct:
    return next(sample for sample in samples if sample.product.node.name == name)


def coarse(values: Tensor) -> Tensor:
    return torch.round(values * 4) / 4


def cosine_of(exact: Tensor, rounded: Tensor) -> float:
    a, b = exact.flatten().tolist(), rounded.flatten().tolist()
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return 1 - dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def square(exact: Tensor, rounded: Tensor) -> float:
    return float((exact - rounded).double().square().sum())


OUTPUT_ORACLES = {
    "layer_output": square,
    "cosine": cosine_of,
    "pearson": lambda exact, rounded: cosine_of(exact - exact.mean(), rounded - rounded.mean()),
}


@pytest.mark.parametrize("name", list(OUTPUT_ORACLES))
def test_weights_have_an_error_an_output_channel(name: str) -> None:
    _, metric, samples = sampled(name)
    sample = by_name(samples, "blocks_0_mlp_fc1")
    inputs, weight = sample.left, sample.right
    got = metric.error_of(sample, 1, coarse(inputs))(coarse(weight))
    assert sample.bias is not None
    exact = inputs @ weight.T + sample.bias
    rounded = coarse(inputs) @ coarse(weight).T + sample.bias
    expected = [OUTPUT_ORACLES[name](exact[:, o], rounded[:, o]) for o in range(len(weight))]
    scale = square(exact, torch.zeros(())) if name == "layer_output" else 1.0
    assert got.tolist() == pytest.approx([e / scale for e in expected], rel=2e-3, abs=1e-6)


@pytest.mark.parametrize("name", list(OUTPUT_ORACLES))
def test_attention_operands_have_an_error_a_head(name: str) -> None:
    _, metric, samples = sampled(name)
    sample = next(s for s in samples if not s.product.is_linear)
    left, right = sample.values
    factor = sample.product.left.factor * sample.product.right.factor
    got = metric.error_of(sample, 0, coarse(right))(coarse(left))
    exact, rounded = factor * left @ right, factor * coarse(left) @ coarse(right)
    heads = range(left.shape[1])
    expected = [OUTPUT_ORACLES[name](exact[:, h], rounded[:, h]) for h in heads]
    scale = square(exact, torch.zeros(())) if name == "layer_output" else 1.0
    assert got.tolist() == pytest.approx([e / scale for e in expected], rel=1e-3, abs=1e-6)


def test_gram_matrices_give_the_error_of_the_outputs() -> None:
    _, metric, samples = sampled()
    assert isinstance(metric, OutputMetric)
    for sample in samples:
        if sample.product.is_linear:
            energy = sample.output(*sample.values).square().sum()
            for side in (0, 1):
                exact, other = sample.values[side], coarse(sample.values[1 - side])
                for rounded in (coarse(exact), exact * 1.01, exact):
                    shortcut = metric.error_of(sample, side, other)(rounded)
                    direct = OutputMetric.error_of(metric, sample, side, other)(rounded)
                    torch.testing.assert_close(shortcut, direct / energy, rtol=2e-3, atol=1e-7)


def test_tensor_error_is_of_the_operand_alone() -> None:
    _, metric, samples = sampled("tensor")
    linear = by_name(samples, "blocks_0_mlp_fc1")
    rows = metric.error_of(linear, 1, torch.zeros(()))(coarse(linear.right))
    difference = (coarse(linear.right) - linear.right).double()
    torch.testing.assert_close(rows.double(), difference.square().sum(1))
    whole = metric.error_of(linear, 0, torch.zeros(()))(coarse(linear.left))
    assert whole.tolist() == pytest.approx([square(linear.left, coarse(linear.left))])


def test_fisher_weights_squares_by_importance() -> None:
    _, metric, samples = sampled("fisher")
    sample = by_name(samples, "blocks_1_attn_proj")
    inputs, weight = sample.left, sample.right
    generator = torch.Generator().manual_seed(0)
    sample.importance = torch.rand(len(inputs), len(weight), generator=generator)
    got = metric.error_of(sample, 1, inputs)(coarse(weight))
    change = (inputs @ (coarse(weight) - weight).T).double()
    expected = (sample.importance * change.square()).sum(0)
    torch.testing.assert_close(got.double(), expected, rtol=1e-3, atol=1e-6)


def run_with(module: fx.GraphModule, changed: fx.Node, value: Tensor, end: fx.Node) -> Tensor:
    """Value of `end` on the sampled images when `changed` has another value."""
    seen: dict[fx.Node, Tensor] = {}

    def hook(node: fx.Node, own: Tensor) -> Tensor:
        seen[node] = value if node is changed else own
        return seen[node]

    with torch.no_grad():
        GraphRunner(module, hook).run(pixels(12)[[0, 4, 7, 11]])
    return seen[end]


def whole_output(metric: Metric, sample: SampledProduct, left: Tensor, right: Tensor) -> Tensor:
    return sample.output(left, right).reshape(-1, *sample.product.node.meta["shape"][1:])


@pytest.mark.parametrize("name", ["blocks_0_attn_qkv", "blocks_1_mlp_fc1", "head"])
@pytest.mark.parametrize("metric_name", ["block_output", "logits"])
def test_the_float_model_runs_on_behind_the_product(name: str, metric_name: str) -> None:
    graph, metric, samples = sampled(metric_name)
    sample = by_name(samples, name)
    node = sample.product.node
    nodes = {node.name: node for node in graph.module.graph.nodes}
    ends = {"blocks_0_attn_qkv": "blocks_0_add", "blocks_1_mlp_fc1": "blocks_1_add_1"}
    end = nodes[ends.get(name, "head")] if metric_name == "block_output" else nodes["head"]
    got = metric.error_of(sample, 1, sample.left)(coarse(sample.right))
    outputs = [
        whole_output(metric, sample, sample.left, right)
        for right in (sample.right, coarse(sample.right))
    ]
    exact, rounded = (run_with(graph.module, node, output, end) for output in outputs)
    if metric_name == "block_output":
        expected = square(exact, rounded)
    else:
        p, q = (torch.softmax(logits.double(), -1) for logits in (exact, rounded))
        expected = float((p * (p.log() - q.log())).sum(-1).mean())
    assert expected > 0
    assert got.tolist() == pytest.approx([expected], rel=1e-3)


def test_samples_are_the_models_own_tensors() -> None:
    graph, _, samples = sampled("logits")
    for sample in samples:
        values: dict[fx.Node, Tensor] = {}

        def keep(node: fx.Node, value: Tensor, values: dict[fx.Node, Tensor] = values) -> Tensor:
            values[node] = value
            return value

        with torch.no_grad():
            GraphRunner(graph.module, keep).run(pixels(12)[[0, 4, 7, 11]])
        node = sample.product.node
        output = sample.output(*sample.values).reshape(values[node].shape)
        torch.testing.assert_close(output, values[node], rtol=1e-4, atol=1e-4)
        assert node.target in (normal_form.linear, normal_form.matmul)
