"""Linear layers: integer weights, the bias in accumulator steps with the input's zero point folded
in.

A weight whose scales also differ along its inputs (PTQ-SL's blocks) is one product for each block
of inputs. The partial sums stay int32 and meet in rescaled additions: exact where the ratios of
their scales are multiples of a power of two that int32 has room for, else the ratios are rounded
to what it has room for, and each sum to an eighth of the coarsest block's steps.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fullint.capture import normal_form
from fullint.lowering.context import scalar_scale
from fullint.lowering.emitters.add import addition_multipliers
from fullint.lowering.emitters.registry import Emission, register
from fullint.lowering.encoding import Encoding, of_rank

STEPS_OF_SUMS = 8


@register(normal_form.linear)
def emit_linear(emission: Emission) -> Encoding:
    """linear, or one for each block of inputs, then the rounding onto the output's grid."""
    node, weight_node, bias_node = emission.arguments
    x = emission.numbers(node)
    grid = emission.graph.uniform_grid_of(weight_node)
    weight = getattr(emission.graph.module, weight_node.target)
    codes = grid.integers(weight).detach().cpu().numpy().astype(np.int64)
    scales = scalar_scale(x) * np.broadcast_to(grid.scale.detach().cpu().numpy(), codes.shape)
    bias = np.zeros(len(codes)) if bias_node is None else emission.constant(bias_node)
    edges = _block_edges(scales)
    if len(edges) == 2:
        return emission.finish(_emit_product(emission, x, codes, scales[:, 0], bias))
    products = []
    for index, (start, stop) in enumerate(pairwise(edges)):
        part = f".block{index}"
        block = emission.emit(
            "slice",
            [x.name],
            f"{emission.name}{part}",
            dim=emission.rank - 1,
            start=start,
            stop=stop,
        )
        columns = codes[:, start:stop], scales[:, start]
        products.append(_emit_product(emission, x.renamed(block), *columns, bias, part))
        bias = np.zeros_like(bias)
    return emission.finish(_emit_sum(emission, products))


def _block_edges(scales: np.ndarray) -> list[int]:
    """Where the scales of some output change along the inputs; 0 and the number of inputs."""
    changes = np.flatnonzero((scales[:, 1:] != scales[:, :-1]).any(axis=0)) + 1
    return [0, *changes.tolist(), scales.shape[1]]


def _emit_product(
    emission: Emission,
    x: Encoding,
    codes: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    part: str = "",
) -> Encoding:
    """Accumulators of one linear; `scale` (outputs,) is that of its products."""
    folded = np.rint(bias / scale).astype(np.int64) - x.zero_point * codes.sum(1)
    inputs = [
        x.name,
        emission.add_constant(f"weight{part}", codes),
        emission.add_constant(f"bias{part}", folded),
    ]
    name = f"{emission.name}{part}.accumulators" if part else emission.pending_name()
    emission.emit("linear", inputs, name)
    return Encoding(name, of_rank(scale, emission.rank), accumulators=True)


def _emit_sum(emission: Emission, products: list[Encoding]) -> Encoding:
    """Partial sums added one after the other."""
    scale = np.maximum.reduce([product.scale for product in products]) / STEPS_OF_SUMS
    total = products[0]
    for index, product in enumerate(products[1:], start=1):
        is_last = index == len(products) - 1
        part = f"sum{index}"
        name = emission.pending_name() if is_last else f"{emission.name}.{part}"
        types = [emission.builder.types[operand.name] for operand in (total, product)]
        largest = [max(-type_.low, type_.high, 1) for type_ in types]
        a, b, shift = addition_multipliers(total.scale / scale, product.scale / scale, *largest)
        bound = int(((a * largest[0] + b * largest[1] + ((1 << shift) >> 1)) >> shift).max())
        constants = [
            emission.add_constant(f"{part}.{constant}", values)
            for constant, values in (("multiplier_a", a), ("multiplier_b", b), ("shift", shift))
        ]
        emission.emit(
            "rescaled_add",
            [total.name, product.name, *constants],
            name,
            zero_a=0,
            zero_b=0,
            zero_point=0,
            low=-bound,
            high=bound,
        )
        total = Encoding(name, scale, accumulators=True)
    return total
