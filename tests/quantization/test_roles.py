"""Roles of every tensor of small models, by name."""

from __future__ import annotations

import pytest

from fullint.quantization.roles import assign_roles

from ..small_models import normal_form_of


def roles_of(name: str) -> dict[str, str]:
    roles = assign_roles(normal_form_of(name).graph)
    return {node.name: role for node, role in roles.items()}


def block(prefix: str, roles: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix(prefix): role for name, role in roles.items() if prefix in name}


BLOCK = {
    "norm1": "normalized",
    "attn_qkv": "query_key_value",
    "attn_matmul": "attention_scores",
    "attn_softmax": "attention_map",
    "attn_matmul_1": "attention_output",
    "attn_proj": "residual_branch",
    "add": "residual",
    "norm2": "normalized",
    "mlp_fc1": "activation_input",
    "mlp_act": "activation",
    "mlp_fc2": "residual_branch",
    "add_1": "residual",
}


@pytest.mark.parametrize("name", ["vit", "average pooled vit", "deit3", "distilled deit"])
def test_transformer_blocks(name: str) -> None:
    roles = roles_of(name)
    for index in range(2):
        assert block(f"blocks_{index}_", roles) == BLOCK


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Class token and positions join the patches' accumulators, which are rounded once.
        ("vit", {"add": "residual", "norm": "normalized", "head": "logits"}),
        ("deit3", {"concat": "residual", "norm": "normalized", "head": "logits"}),
        (
            "average pooled vit",
            {"add": "residual", "mean": "residual", "fc_norm": "normalized", "head": "logits"},
        ),
        (
            "distilled deit",
            {
                "add": "residual",
                "norm": "normalized",
                "head": "logits",
                "head_dist": "logits",
                "add_1": "logits",
            },
        ),
    ],
)
def test_around_the_blocks(name: str, expected: dict[str, str]) -> None:
    around = {key: role for key, role in roles_of(name).items() if "blocks" not in key}
    assert around == expected


@pytest.mark.parametrize("name", ["swin", "padded swin"])
def test_swin(name: str) -> None:
    roles = roles_of(name)
    assert roles["patch_embed_proj"] == "residual"
    assert roles["patch_embed_norm"] == "residual"
    assert roles["layers_1_downsample_norm"] == "normalized"
    assert roles["layers_1_downsample_reduction"] == "residual"
    assert roles["norm"] == "normalized"
    assert roles["head_global_pool_pool_mean"] == "pooled"
    assert roles["head_fc"] == "logits"
    for layer in range(2):
        for index in range(2):
            assert block(f"layers_{layer}_blocks_{index}_", roles) == BLOCK


def test_position_biases_and_masks_have_no_grid() -> None:
    module = normal_form_of("swin")
    roles = assign_roles(module.graph)
    biases = [node for node in module.graph.nodes if "attn_add" in node.name]
    assert biases
    assert not set(biases) & set(roles)
