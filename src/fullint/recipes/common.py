"""What every recipe needs besides its method: grids for what published methods leave in float."""

from __future__ import annotations

from fullint.recipes.schema import QuantizerConfig, Role, SharedConfig, UniformConfig

PERCENTILE_NOTE = """\
Percentile ranges look at all calibration images together, the published code at one batch.
"""
INTEGER_NOTE = """\
Everything the published code leaves in float is integer here: LayerNorm, softmax and the residual
stream (16 bits), the GELU through a table of 12-bit codes.
"""

_INTEGER_REST: dict[Role, QuantizerConfig] = {
    "activation_input": UniformConfig(num_bits=12),
    "residual_branch": SharedConfig(),
    "residual": UniformConfig(num_bits=16, symmetric=True, power_of_two_scale=True, headroom=1.5),
    "logits": UniformConfig(num_bits=16, symmetric=True, headroom=2.0),
}


def activations(
    everywhere: UniformConfig, **others: QuantizerConfig
) -> dict[Role, QuantizerConfig]:
    """Grids by role: `everywhere` in front of every matrix product but where `others` names a role;
    wide ones for the rest. Query, key and value have a scale each, as methods have that round the
    operands of attention products one by one.
    """
    operands: dict[str, QuantizerConfig] = {
        "normalized": everywhere,
        "query_key_value": everywhere.model_copy(update={"symmetric": True, "strategy": "operand"}),
        "attention_map": everywhere,
        "attention_output": everywhere,
        "activation": everywhere,
        "pooled": everywhere,
    }
    return {**_INTEGER_REST, **operands, **others}  # type: ignore[dict-item]
