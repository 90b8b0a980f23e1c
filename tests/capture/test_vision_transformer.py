"""Capture of ViT and DeiT in timm's variants."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn

from fullint.capture import capture, normal_form


def operations(graph_module: Any) -> list[str]:
    return [n.target.__name__ for n in graph_module.graph.nodes if n.op == "call_function"]


def structure(graph_module: Any) -> list[Any]:
    return [(n.op, n.name, str(n.args), n.meta["shape"]) for n in graph_module.graph.nodes]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"qkv_bias": False},
        {"qk_norm": True},
        {"pre_norm": True},
        {"init_values": 0.01},
        {"reg_tokens": 2, "no_embed_class": True},
        {"class_token": False, "global_pool": "avg"},
        {"global_pool": "avg", "fc_norm": False},
        {"global_pool": "map"},
        {"num_classes": 0},
        {"act_layer": nn.ReLU},
        {"act_layer": nn.Hardswish},
    ],
    ids=str,
)
def test_variants(vit: Any, captured: Any, changes: dict[str, Any]) -> None:
    captured(vit(**changes))


@pytest.mark.parametrize(("height", "width", "patch"), [(32, 48, 16), (33, 39, 8), (28, 28, 7)])
def test_sizes(vit: Any, captured: Any, height: int, width: int, patch: int) -> None:
    captured(vit(img_size=(height, width), patch_size=patch, num_classes=11), height, width)


def test_interpolated_position_embedding_is_a_constant(vit: Any, captured: Any) -> None:
    graph_module = captured(vit(dynamic_img_size=True), 40, 48)
    assert set(operations(graph_module)) <= {f.__name__ for f in normal_form.VOCABULARY}


def test_fused_and_eager_attention_give_the_same_graph(vit: Any, captured: Any) -> None:
    fused, eager = vit(), vit()
    for block in eager.blocks:
        block.attn.fused_attn = False
    assert fused.blocks[0].attn.fused_attn
    assert structure(captured(fused)) == structure(captured(eager))


def test_distilled_heads_are_averaged(timm: Any, randomized: Any, captured: Any) -> None:
    model = timm.models.deit.VisionTransformerDistilled(
        img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2, num_classes=5
    )
    *_, addition, average = operations(captured(randomized(model)))
    assert (addition, average) == ("add", "scale")


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.GELU, "gelu"),
        (lambda: nn.GELU(approximate="tanh"), "gelu_tanh"),
        (lambda: nn.ReLU(inplace=True), "relu"),
        (nn.SiLU, "silu"),
        ("quick_gelu", "quick_gelu"),
    ],
)
def test_activations(timm: Any, vit: Any, captured: Any, layer: Any, kind: str) -> None:
    layer = timm.layers.QuickGELU if layer == "quick_gelu" else layer
    graph_module = captured(vit(depth=1, act_layer=layer))
    nodes = [n for n in graph_module.graph.nodes if n.target is normal_form.activation]
    assert [n.args[1] for n in nodes] == [kind]


def test_a_block_has_no_needless_operation(vit: Any, captured: Any) -> None:
    count = Counter(operations(captured(vit(depth=1))))
    assert count == {
        "linear": 6, "layer_norm": 3, "add": 3, "matmul": 2, "softmax": 1, "scale": 1,
        "activation": 1,
        "concat": 1,  # the class token
        "slice": 4,  # query, key, value; the class token again
        "permute": 5,  # patches; query, key, value; heads back to channels
        "reshape": 7,  # patches twice; query, key, value; channels; the class token's axis
    }  # fmt: skip


def test_patches_go_straight_into_the_linear_layer(vit: Any, captured: Any) -> None:
    assert operations(captured(vit()))[:5] == ["reshape", "permute", "reshape", "linear", "concat"]


def test_layer_scale_is_folded_into_the_layer(vit: Any, captured: Any) -> None:
    model = vit(depth=1, init_values=0.5)
    graph_module = captured(model)
    expected = model.blocks[0].attn.proj.weight * model.blocks[0].ls1.gamma[:, None]
    assert torch.equal(graph_module.blocks_0_attn_proj_weight, expected)
    assert Counter(operations(graph_module)) == Counter(operations(captured(vit(depth=1))))


def test_names_and_origins(vit: Any, captured: Any) -> None:
    graph_module = captured(vit())
    nodes = {n.name: n for n in graph_module.graph.nodes}
    assert nodes["patch_embed_proj"].target is normal_form.linear
    assert nodes["blocks_1_attn_qkv"].meta["module_path"] == "blocks.1.attn.qkv"
    assert nodes["blocks_1_attn_softmax"].meta["module_path"] == "blocks.1.attn"
    assert nodes["blocks_0_mlp_fc1_weight"].meta["parameter"] == "blocks.0.mlp.fc1.weight"
    assert nodes["cls_token"].meta["parameter"] == "cls_token"
    assert nodes["pos_embed"].meta["shape"] == (1, 17, 32)
    assert "parameter" not in nodes["patch_embed_proj_weight"].meta


def test_the_model_stays_as_it_was(vit: Any) -> None:
    model = vit().train()
    model.blocks[0].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    graph_module = capture(model, input_size=(3, 32, 32), mean=(0.5,) * 3, std=(0.5,) * 3)
    graph_module.blocks_0_attn_qkv_weight.zero_()
    assert model.training
    assert not model.blocks[0].training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_gradients_reach_pixels_and_constants(vit: Any, captured: Any) -> None:
    graph_module = captured(vit())
    weight = graph_module.blocks_0_attn_qkv_weight.requires_grad_()
    pixels = torch.rand(2, 32, 32, 3).mul(255).requires_grad_()
    graph_module(pixels).sum().backward()
    assert pixels.grad is not None
    assert weight.grad is not None
    assert pixels.grad.abs().max() > 0
    assert weight.grad.abs().max() > 0


def test_one_channel(vit: Any) -> None:
    model = vit(in_chans=1).eval()
    graph_module = capture(model, input_size=(1, 32, 32), mean=(0.3,), std=(0.2,))
    pixels = torch.randint(0, 256, (3, 32, 32, 1)).float()
    expected = model((pixels.permute(0, 3, 1, 2) / 255 - 0.3) / 0.2)
    torch.testing.assert_close(graph_module(pixels), expected)


@pytest.mark.real_data
def test_deit_tiny_with_its_weights(timm: Any, captured: Any, real_data: Any) -> None:
    weights = real_data / "weights" / "deit_tiny_patch16_224.safetensors"
    model = timm.create_model("deit_tiny_patch16_224", checkpoint_path=str(weights))
    graph_module = captured(model, 224, 224)
    assert Counter(operations(graph_module))["linear"] == 50
