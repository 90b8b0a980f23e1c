"""The diagonal of the true Fisher information at the products' outputs.

PTQ4ViT (arXiv 2111.12293, eq. 8) weights a product's squared output error with the squared gradient
of the loss. Its published code takes the gradient of the divergence between the float model's
prediction and itself, which is zero but for round-off. Here the labels are drawn from the model's
own softmax: then the mean squared gradient of their cross-entropy is the Gauss-Newton diagonal of
that very divergence, so that half of sum g^2 e^2 is what an error e costs, were errors independent.
"""

from __future__ import annotations

import torch
import torch.fx
from torch import Tensor

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import GraphRunner
from fullint.quantization.search.samples import Picker, SampledProduct

DRAWS = 2


def squared_gradients(
    module: torch.fx.GraphModule,
    nodes: list[torch.fx.Node],
    pixels: Tensor,
    generator: torch.Generator,
    draws: int = DRAWS,
) -> list[Tensor]:
    """Mean over `draws` sampled labels of the squared gradient of each image's cross-entropy, of
    the shape of each node's value.
    """
    values: dict[torch.fx.Node, Tensor] = {}

    def hook(node: torch.fx.Node, value: Tensor) -> Tensor:
        if node in wanted:
            values[node] = value
        return value

    wanted = set(nodes)
    logits = GraphRunner(module, hook).run(pixels.detach().requires_grad_())
    shares = torch.softmax(logits.detach(), dim=-1)
    labels = torch.multinomial(shares, draws, replacement=True, generator=generator)
    outputs = [values[node] for node in nodes]
    sums = [torch.zeros_like(output) for output in outputs]
    for draw in range(draws):
        loss = torch.nn.functional.cross_entropy(logits, labels[:, draw], reduction="sum")
        # A product that the logits do not depend on has no gradient, and no importance.
        gradients = torch.autograd.grad(
            loss, outputs, retain_graph=draw + 1 < draws, allow_unused=True
        )
        for total, gradient in zip(sums, gradients, strict=True):
            if gradient is not None:
                total.add_(gradient.square())
    return [total / draws for total in sums]


def sample_importance(
    module: torch.fx.GraphModule,
    samples: dict[torch.fx.Node, SampledProduct],
    data: CalibrationData,
    picker: Picker,
) -> None:
    """Give every sampled product the importance of its output's elements, where it was sampled."""
    generator = torch.Generator().manual_seed(0)
    nodes = list(samples)
    parts: dict[torch.fx.Node, list[Tensor]] = {node: [] for node in nodes}
    for ordinals, pixels in picker.chunks(data):
        for node, value in zip(
            nodes, squared_gradients(module, nodes, pixels, generator), strict=True
        ):
            picked = picker.pick(samples[node].product, "output", value, ordinals)
            parts[node].append(picked)
    for node, sample in samples.items():
        sample.importance = torch.cat(parts[node])
