"""The gradient that weights errors: a signal, not round-off, and one that predicts."""

from __future__ import annotations

import math

import torch
from torch import Tensor, fx

from fullint.quantization.graph import GraphRunner
from fullint.quantization.search.fisher import sample_importance, squared_gradients
from fullint.quantization.search.products import Product, find_products
from fullint.quantization.search.samples import Picker, SamplingPlan, sample_products

from ...small_models import normal_form_of, pixels
from .common import data, sampled


def products() -> list[Product]:
    return find_products(normal_form_of("vit").graph, [])


def logits_with(nodes: dict[fx.Node, Tensor], images: Tensor) -> Tensor:
    """Logits when something is added to the values of nodes."""

    def hook(node: fx.Node, value: Tensor) -> Tensor:
        return value + nodes[node] if node in nodes else value

    with torch.no_grad():
        return GraphRunner(normal_form_of("vit"), hook).run(images)


def divergence(images: Tensor, change: dict[fx.Node, Tensor]) -> float:
    exact, other = (torch.log_softmax(logits_with(c, images).double(), -1) for c in ({}, change))
    return float((exact.exp() * (exact - other)).sum())


def correlation(first: list[float], second: list[float]) -> float:
    pair = torch.tensor([first, second], dtype=torch.float64).log()
    return float(torch.corrcoef(pair)[0, 1])


def test_the_published_gradient_is_round_off_and_this_one_is_not() -> None:
    """PTQ4ViT's loss is the divergence of the float prediction from itself, whose gradient is zero;
    what float32 leaves of it is no signal.
    """
    module, images = normal_form_of("vit"), pixels(4)
    nodes = [product.node for product in products()]
    values: dict[fx.Node, Tensor] = {}

    def keep(node: fx.Node, value: Tensor) -> Tensor:
        if node in nodes:
            values[node] = value
        return value

    logits = GraphRunner(module, keep).run(images.requires_grad_())
    loss = torch.nn.functional.kl_div(
        torch.log_softmax(logits, -1), torch.softmax(logits.detach(), -1), reduction="sum"
    )
    published = torch.autograd.grad(loss, [values[node] for node in nodes])
    ours = squared_gradients(module, nodes, images, torch.Generator().manual_seed(0))
    for noise, squared in zip(published, ours, strict=True):
        assert float(squared.mean().sqrt()) > 1e4 * float(noise.square().mean().sqrt())


def test_the_mean_over_labels_is_the_fisher_diagonal() -> None:
    module, images = normal_form_of("vit"), pixels(2)
    node = products()[-1].node  # The logits, for which p - p^2 is the diagonal.
    (drawn,) = squared_gradients(
        module, [node], images, torch.Generator().manual_seed(1), draws=4000
    )
    shares = torch.softmax(logits_with({}, images), -1)
    torch.testing.assert_close(drawn, shares - shares.square(), rtol=0.1, atol=0.01)


def test_it_predicts_what_an_error_costs_better_than_its_square() -> None:
    """Random errors of one size each, at single tokens and channels of a random product."""
    images = pixels(6)
    chosen = [product.node for product in products()]
    generator = torch.Generator().manual_seed(2)
    importance = squared_gradients(normal_form_of("vit"), chosen, images, generator, draws=16)
    predicted, unweighted, actual = [], [], []
    for trial in range(60):
        index = trial % len(chosen)
        shape = importance[index].shape
        mask = torch.rand(shape[1:], generator=generator) < 0.05
        size = float(10 ** (-2.5 + torch.rand((), generator=generator)))
        change = size * torch.randn(shape, generator=generator) * mask
        predicted.append(float((importance[index] * change.square()).sum()) / 2)
        unweighted.append(float(change.square().sum()))
        actual.append(divergence(images, {chosen[index]: change}))
    seen = [at for at, cost in enumerate(actual) if cost > 1e-10 and predicted[at] > 0]
    assert len(seen) > 40
    by_fisher = correlation([predicted[at] for at in seen], [actual[at] for at in seen])
    by_square = correlation([unweighted[at] for at in seen], [actual[at] for at in seen])
    assert by_fisher > 0.9
    assert by_fisher > by_square + 0.05
    ratio = [math.log(actual[at] / predicted[at]) for at in seen]
    assert abs(sum(ratio) / len(ratio)) < 0.5  # In the divergence's own units.


def test_importance_belongs_to_the_sampled_rows() -> None:
    module = normal_form_of("vit")
    plan = SamplingPlan(images=3, rows=9, attention_images=2, attention_rows=4, chunk=2)
    picker = Picker(plan, 12)
    samples = sample_products(module, products(), data(), picker, {})
    sample_importance(module, samples, data(), picker)
    for sample in samples.values():
        assert sample.importance is not None
        assert sample.importance.shape == sample.output(*sample.values).shape
    node = products()[-1].node
    chosen = pixels(12)[picker.chosen_images]
    shares = torch.softmax(logits_with({}, chosen), -1)
    # Each draw's gradient of the logits is p less the label's unit vector.
    unit = torch.eye(shares.shape[1])
    possible = (shares[:, None] - unit).square()
    pairs = (possible[:, :, None] + possible[:, None]) / 2
    got = samples[node].importance
    assert got is not None
    distance = (pairs - got[:, None, None]).abs().amax(-1).flatten(1).amin(1)
    assert float(distance.max()) < 1e-5


def test_the_metric_asks_for_it() -> None:
    _, metric, _ = sampled("fisher")
    assert metric.needs_importance
