"""Small graphs to search in."""

from __future__ import annotations

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.search.metrics import Metric, make_metric
from fullint.quantization.search.products import find_products
from fullint.quantization.search.samples import Picker, SampledProduct, sample_products
from fullint.recipes import Recipe, find_recipe
from fullint.recipes.schema import QuantizerConfig, UniformConfig

from ...small_models import calibrated, pixels, size_of

CHANNEL = UniformConfig(num_bits=4, symmetric=True, strategy="channel")
HEAD = UniformConfig(num_bits=4, symmetric=True, strategy="head")
FOUR_BITS = UniformConfig(num_bits=4)


def recipe(
    weights: UniformConfig = CHANNEL,
    attention_map: QuantizerConfig = FOUR_BITS,
    activation: QuantizerConfig = FOUR_BITS,
    query_key_value: QuantizerConfig = HEAD,
) -> Recipe:
    """Four bits, ranges taken whole, no transforms."""
    base = find_recipe("default")
    activations = {
        **base.activations,
        "normalized": FOUR_BITS,
        "query_key_value": query_key_value,
        "attention_map": attention_map,
        "attention_output": FOUR_BITS,
        "activation": activation,
        "pooled": FOUR_BITS,
    }
    return base.model_copy(
        update={"weights": weights, "activations": activations, "transforms": ()}
    )


def data(model: str = "vit", images: int = 12) -> CalibrationData:
    """Images for one of the small models."""
    batch = pixels(images, size_of(model))
    return CalibrationData(lambda: batch.split(4), images)


def sampled(
    metric_name: str = "layer_output", chosen: Recipe | None = None, model: str = "vit"
) -> tuple[QuantizedGraph, Metric, list[SampledProduct]]:
    """A calibrated graph, a metric that has seen its products, and the products' samples."""
    graph = calibrated(model, chosen or recipe())
    metric = make_metric(metric_name, graph.module)
    products = find_products(graph.module.graph, graph.grids)
    metric.watch(products)
    seen = data(model)
    picker = Picker(metric.plan, seen.images)
    samples = sample_products(graph.module, products, seen, picker, metric.kept)
    return graph, metric, list(samples.values())
