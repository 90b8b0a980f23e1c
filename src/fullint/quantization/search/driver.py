"""Rounds of search, product after product."""

from __future__ import annotations

from dataclasses import replace

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.search.candidates import GENERATORS, Problem
from fullint.quantization.search.discovery import clusters, find_spaces
from fullint.quantization.search.fisher import sample_importance
from fullint.quantization.search.metrics import Metric, make_metric
from fullint.quantization.search.products import find_products
from fullint.quantization.search.samples import Picker, SampledProduct, sample_products
from fullint.quantization.search.spaces import Space
from fullint.quantization.steps import implements
from fullint.recipes.steps import SearchConfig

# Shares of the whole step, in percent, for its progress.
SAMPLING = 20


@implements(SearchConfig)
def refine_grids(graph: QuantizedGraph, config: SearchConfig, data: CalibrationData) -> None:
    """Refine the grids of all products' operands, each product for `rounds` rounds: its weight,
    then its activations, in turn (EasyQuant, PTQ4ViT section 3.3).

    Operands are the float model's; the other operand of a product is rounded as its grid is at that
    moment. A grid changes only where the metric gets smaller on the sample.
    """
    metric = make_metric(config.metric, graph.module)
    samples = _sample(graph, metric, data)
    groups = clusters(find_spaces(graph, samples))
    for done, cluster in enumerate(groups):
        for round_index in range(config.rounds):
            for space in cluster:
                refine(space, metric, config, first_round=round_index == 0)
        data.report(SAMPLING + (100 - SAMPLING) * (done + 1) // len(groups), 100)


def refine(space: Space, metric: Metric, config: SearchConfig, *, first_round: bool) -> None:
    """Search one tensor's grid, and put the best in its place."""
    family = space.make_family(space.graph.grids[space.node])
    if family is None:
        return
    problem = Problem(
        family,
        space.errors(metric, family),
        space.quantiles(family.groups),
        config,
        first_round,
    )
    best = GENERATORS[config.candidates](problem)
    space.graph.grids[space.node] = family.grid(best.parameters)


def _sample(graph: QuantizedGraph, metric: Metric, data: CalibrationData) -> list[SampledProduct]:
    products = find_products(graph.module.graph, graph.grids)
    metric.watch(products)
    picker = Picker(metric.plan, data.images)
    passes = 2 if metric.needs_importance else 1

    def quiet(pass_index: int) -> CalibrationData:
        def report(done: int, total: int) -> None:
            data.report(SAMPLING * (pass_index * total + done) // (passes * total), 100)

        return replace(data, report=report)

    samples = sample_products(graph.module, products, quiet(0), picker, metric.kept)
    if metric.needs_importance:
        sample_importance(graph.module, samples, quiet(1), picker)
    return list(samples.values())
