"""Layer by layer: how far the integer program is from the float simulation it was lowered from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.fx
from torch import Tensor

from fullint.integer.interpreter import trace
from fullint.integer.program import IntegerProgram
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.grids import UniformGrid

IMAGES_AT_ONCE = 2


@dataclass
class LayerDifference:
    """Codes of one tensor in simulation and program.

    Attributes:
        tensor, module: its name in the program, and where it comes from.
        equal: share of codes that are the same.
        largest: largest difference in codes.
        signal_to_difference: of the real values, in dB; 999 where nothing differs.
    """

    tensor: str
    module: str
    equal: float
    largest: int
    signal_to_difference: float


@dataclass(frozen=True)
class Comparison:
    """Result of `compare`: images, how many have the same top-1 class in both, and every tensor
    with a uniform grid.
    """

    images: int
    agreeing: int
    layers: list[LayerDifference]

    def rows(self) -> list[dict[str, object]]:
        """The layers as plain dictionaries."""
        return [asdict(layer) for layer in self.layers]


class _Sums:
    """Running sums for one tensor."""

    def __init__(self) -> None:
        self.count = self.equal = self.largest = 0
        self.signal = self.noise = 0.0

    def update(self, simulated: np.ndarray, integer: np.ndarray, grid: UniformGrid) -> None:
        difference = np.abs(simulated - integer)
        self.count += difference.size
        self.equal += int((difference == 0).sum())
        self.largest = max(self.largest, int(difference.max()))
        scale = grid.scale.numpy()
        self.signal += float((((simulated - grid.common_zero_point) * scale) ** 2).sum())
        self.noise += float(((difference * scale) ** 2).sum())

    def summary(self, tensor: str, module: str) -> LayerDifference:
        decibels = 999.0 if self.noise == 0 else 10 * np.log10(max(self.signal, 1e-30) / self.noise)
        return LayerDifference(
            tensor,
            module,
            round(self.equal / self.count, 6),
            self.largest,
            round(float(decibels), 1),
        )


def compare(
    graph: QuantizedGraph, program: IntegerProgram, batches: Iterable[Tensor]
) -> Comparison:
    """Run both on the same pixels (batch, height, width, channels), floats 0 to 255, tensor by
    tensor.

    Differences accumulate through the network, as each side reads its own results.
    """
    sums: dict[str, _Sums] = {}
    modules = {node.name: str(node.meta.get("module_path") or node.name) for node in graph.grids}
    images = agreeing = 0
    for pixels in batches:
        # All codes of the simulation are held at once, so few images are.
        for part in pixels.split(IMAGES_AT_ONCE):
            codes, simulated = _simulated_codes(graph, part)
            for name, values in trace(program, part.numpy().astype(np.uint8)):
                if name in codes:
                    expected, grid = codes.pop(name)
                    integer = values.reshape(expected.shape).astype(np.int64)
                    sums.setdefault(name, _Sums()).update(expected, integer, grid)
                if name == program.output_name:
                    top1 = values.reshape(len(part), -1).argmax(1)
                    agreeing += int((top1 == simulated.argmax(1)).sum())
            images += len(part)
    layers = [total.summary(name, modules[name]) for name, total in sums.items()]
    return Comparison(images, agreeing, layers)


def _simulated_codes(
    graph: QuantizedGraph, pixels: Tensor
) -> tuple[dict[str, tuple[np.ndarray, UniformGrid]], np.ndarray]:
    """Codes of every quantized activation with a uniform grid, int32, and the logits."""
    codes: dict[str, tuple[np.ndarray, UniformGrid]] = {}

    def keep(node: torch.fx.Node, value: Tensor) -> Tensor:
        grid = graph.grids.get(node)
        if isinstance(grid, UniformGrid) and node in graph.quantizers:
            codes[node.name] = (grid.quantize(value).numpy().astype(np.int32), grid)
        return value

    with torch.no_grad():
        logits = graph.simulate(pixels, keep).numpy()
    return codes, logits
