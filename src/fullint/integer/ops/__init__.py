"""The operations of integer programs, one file each.

THE SPECIFICATION: engine, ONNX graph and RTL equal these functions.

An operation is a pair of functions with the same parameters, positional ones for tensors,
keyword-only ones for attributes:

    infer(*operands, **attributes) -> TensorType    shape and proven range, or FullintError
    compute(*arrays, **attributes) -> array         the arithmetic, in int64

Arrays of computed tensors carry one more axis in front, the images; constants do not. To add an
operation, add a file that calls `register`, and import it below.
"""

from fullint.integer.ops.registry import OPERATIONS, OperationDefinition, find_operation, register

# isort: off
from fullint.integer.ops import (  # noqa: F401  (imported for their registration)
    add,
    ailayernorm,
    concat,
    e2softmax,
    exponentials,
    i_layernorm,
    ibert_gelu,
    itamax,
    layer_norm,
    linear,
    log2_softmax,
    lookup,
    matmul,
    permute,
    requantize,
    rescaled_add,
    reshape,
    roll,
    shift_matmul,
    shiftgelu,
    shiftmax,
    slice,
    softmax,
    sum,
    table_softmax,
    weighted_average,
)
# isort: on

__all__ = ["OPERATIONS", "OperationDefinition", "find_operation", "register"]
