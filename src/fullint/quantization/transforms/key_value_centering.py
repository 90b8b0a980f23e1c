"""key_value_centering: take the mean of every channel of keys and values off it.

A constant added to all keys adds the same to all scores of a query, which the softmax takes out
again, whatever masks and position biases are added. A constant added to all values adds itself to
the attention's output, as the rows of the attention map sum to one, and the bias behind takes it
back. Published methods have a zero point a head instead, which integer products would pay for.
"""

from __future__ import annotations

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.steps import implements
from fullint.quantization.transforms.attention import find_attentions
from fullint.quantization.transforms.channel_statistics import channel_statistics
from fullint.recipes.steps import KeyValueCenteringConfig


@implements(KeyValueCenteringConfig)
def center_keys_and_values(
    graph: QuantizedGraph, config: KeyValueCenteringConfig, data: CalibrationData
) -> None:
    """Change every attention whose layers have constants of their own."""
    attentions = find_attentions(graph)
    operands = [operand for found in attentions for operand in (found.key, found.value)]
    producers = {operand.producer for operand in operands}
    statistics = channel_statistics(graph.module, producers, data)
    for found in attentions:
        keys, values = (
            statistics[operand.producer].mean[operand.channels]
            for operand in (found.key, found.value)
        )
        found.key.shift(keys)
        found.shift_values(values.flatten())
