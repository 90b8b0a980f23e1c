"""Samples of tensors' rows, for searches that look at the same values again and again."""

from __future__ import annotations

import torch
import torch.fx
from torch import Tensor

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import GraphRunner


def sampled_rows(
    module: torch.fx.GraphModule, nodes: set[torch.fx.Node], data: CalibrationData, rows: int
) -> dict[torch.fx.Node, Tensor]:
    """About `rows` rows (rows, channels) of each of `nodes`, drawn evenly from all batches, in one
    pass; the same ones every time.
    """
    generator = torch.Generator().manual_seed(0)
    samples: dict[torch.fx.Node, list[Tensor]] = {node: [] for node in nodes}
    wanted = 0

    def hook(node: torch.fx.Node, value: Tensor) -> Tensor:
        if node in samples:
            flat = value.reshape(-1, value.shape[-1])
            drawn = torch.randperm(len(flat), generator=generator)[:wanted]
            samples[node].append(flat[drawn])
        return value

    runner = GraphRunner(module, hook)
    for pixels in data.reported_batches():
        wanted = -(-rows * len(pixels) // data.images)
        with torch.no_grad():
            runner.run(pixels)
    return {node: torch.cat(batches) for node, batches in samples.items()}
