"""Metrics: how good a candidate grid is, one file each. To add one, subclass `Metric` (or
`OutputMetric`), name it in `SearchConfig.metric` and in the table below.
"""

from __future__ import annotations

import torch.fx

from fullint.quantization.search.metrics.base import Error, Metric
from fullint.quantization.search.metrics.block_output import BlockOutput
from fullint.quantization.search.metrics.cosine import Cosine
from fullint.quantization.search.metrics.fisher import Fisher
from fullint.quantization.search.metrics.layer_output import LayerOutput
from fullint.quantization.search.metrics.logits import Logits
from fullint.quantization.search.metrics.pearson import Pearson
from fullint.quantization.search.metrics.tensor import TensorError

__all__ = ["Error", "Metric", "make_metric"]

_METRICS: dict[str, type[Metric]] = {
    "tensor": TensorError,
    "layer_output": LayerOutput,
    "cosine": Cosine,
    "pearson": Pearson,
    "fisher": Fisher,
    "block_output": BlockOutput,
    "logits": Logits,
}


def make_metric(name: str, module: torch.fx.GraphModule) -> Metric:
    """The metric that a recipe names, for a captured model."""
    return _METRICS[name](module)
