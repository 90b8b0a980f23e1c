"""The units that a model's operations want, by name."""

from __future__ import annotations

from fullint.hardware.cases import Case
from fullint.hardware.layer_norm_cases import AILayerNormCase, LayerNormCase
from fullint.hardware.softmax_cases import E2SoftmaxCase, Log2SoftmaxCase
from fullint.hardware.workload import ModelRun
from fullint.integer.program import Operation


def case_of(name: str, run: ModelRun, lanes: int) -> Case:
    """The unit of this name, with the attributes of the model's own operations and its row length.

    Raises:
        FullintError: the model has none whose rows the unit could be sent.
    """
    if name == "e2softmax":
        return _e2softmax(run, lanes)
    if name == "log2_softmax":
        return Log2SoftmaxCase(lanes, run.longest_row())
    tokens = run.tokens(name)[0]
    channels, (low, high) = tokens.codes.shape[-1], (tokens.attributes[k] for k in ("low", "high"))
    if name == "layer_norm":
        return LayerNormCase(lanes, channels, low, high)
    return AILayerNormCase(lanes, channels, low, high, ranges=tokens.attributes["ranges"])


def _e2softmax(run: ModelRun, lanes: int) -> E2SoftmaxCase:
    length = run.longest_row()
    found = [operation for operation, _ in run.inputs if operation.kind == "e2softmax"]
    if not found:
        return E2SoftmaxCase(lanes, length)
    attributes = found[0].attributes
    return E2SoftmaxCase(
        lanes,
        length,
        fraction_bits=_number(found[0], "fraction_bits"),
        natural=bool(attributes["natural"]),
        output_bits=_number(found[0], "output_bits"),
        quotients=tuple(attributes["quotients"]),  # type: ignore[arg-type]
    )


def _number(operation: Operation, attribute: str) -> int:
    value = operation.attributes[attribute]
    assert isinstance(value, int)
    return value
