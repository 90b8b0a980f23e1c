"""query_key_value_equalization: balance the channels of queries against those of keys, and of
values against the weights behind the attention.

Scores do not change when a channel of the query is divided by what the key's is multiplied with,
nor does a linear layer's output when a value channel is divided by what its columns are multiplied
with. Each head, and each attention's output, takes the balance of the least predicted error.
"""

from __future__ import annotations

import torch
import torch.fx
from torch import Tensor

from fullint.quantization.calibration_data import CalibrationData
from fullint.quantization.graph import QuantizedGraph
from fullint.quantization.steps import implements
from fullint.quantization.transforms.attention import Attention, find_attentions
from fullint.quantization.transforms.channel_statistics import ChannelStatistics, channel_statistics
from fullint.quantization.transforms.layer_norm_equalization import balancing_factors
from fullint.recipes.steps import QueryKeyValueEqualizationConfig

Statistics = dict[torch.fx.Node, ChannelStatistics]


@implements(QueryKeyValueEqualizationConfig)
def equalize_queries_keys_and_values(
    graph: QuantizedGraph, config: QueryKeyValueEqualizationConfig, data: CalibrationData
) -> None:
    """Change every attention whose layers have constants of their own."""
    attentions = find_attentions(graph)
    nodes = {
        operand.producer
        for found in attentions
        for operand in (found.query, found.key, found.value)
    }
    statistics = channel_statistics(graph.module, nodes, data)
    for found in attentions:
        if _pairs_are_unique(found):
            factors = _query_factors(found, statistics)
            found.query.divide(factors)
            found.key.divide(1 / factors)
        values = statistics[found.value.producer].select(found.value.channels.flatten())
        found.divide_values(balancing_factors(values.largest, values.mean_square, found.weight))


def _pairs_are_unique(found: Attention) -> bool:
    """Whether no channel is in two heads, as where several queries share a key."""
    channels = (found.query.channels, found.key.channels)
    return all(len(numbers.unique()) == numbers.numel() for numbers in channels)


def _query_factors(found: Attention, statistics: Statistics) -> Tensor:
    """By how much to divide the query (heads, channels a head)."""
    queries, keys = (
        statistics[operand.producer].select(operand.channels)
        for operand in (found.query, found.key)
    )
    return torch.stack(
        [
            balancing_factors(*head)
            for head in zip(
                queries.largest, queries.mean_square, keys.largest[:, None], strict=True
            )
        ]
    )
