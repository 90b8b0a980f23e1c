"""Capture of timm's Swin: windows, shifts, padding, relative position bias, attention mask."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from fullint.capture import normal_form


def operations(graph_module: Any) -> Counter[str]:
    return Counter(n.target.__name__ for n in graph_module.graph.nodes if n.op == "call_function")


def test_windows_and_shifts(swin: Any, captured: Any) -> None:
    graph_module = captured(swin())
    rolls = [n.args[1:] for n in graph_module.graph.nodes if n.target is normal_form.roll]
    assert rolls == [((-2, -2), (1, 2)), ((2, 2), (1, 2))]
    assert operations(graph_module)["concat"] == 0
    bias = next(n for n in graph_module.graph.nodes if n.name.endswith("0_attn_add_constant"))
    assert bias.meta["shape"] == (1, 2, 16, 16)


def test_a_map_that_is_no_multiple_of_the_window_is_padded_by_concat(
    swin: Any, captured: Any
) -> None:
    graph_module = captured(swin(img_size=40), 40, 40)
    assert operations(graph_module)["concat"] == 8
    padding = [
        getattr(graph_module, constant.target)
        for node in graph_module.graph.nodes
        if node.target is normal_form.concat
        for constant in node.args[0]
        if constant.op == "get_attr"
    ]
    assert all(tensor.shape[0] == 1 and not tensor.any() for tensor in padding)


def test_three_stages_odd_maps_rectangular_image(swin: Any, captured: Any) -> None:
    model = swin(img_size=(36, 44), depths=(2, 2, 2), num_heads=(2, 2, 4))
    captured(model, 36, 44)


def test_mask_computed_from_the_size_of_the_input(swin: Any, captured: Any) -> None:
    captured(swin(strict_img_size=False, dynamic_img_size=True), 40, 40)


def test_fused_attention_adds_bias_and_mask_in_one(swin: Any, captured: Any) -> None:
    eager, fused = swin(), swin()
    for stage in fused.layers:
        for block in stage.blocks:
            block.attn.fused_attn = True
    in_two, in_one = operations(captured(eager)), operations(captured(fused))
    assert in_two["add"] - in_one["add"] == 1  # one block has a mask
    assert in_two - Counter(add=1) == in_one


def test_head_and_patch_size(swin: Any, captured: Any) -> None:
    captured(swin(patch_size=2, num_classes=3, window_size=8), 32, 32)


@pytest.mark.slow
def test_swin_tiny(timm: Any, randomized: Any, captured: Any) -> None:
    captured(randomized(timm.create_model("swin_tiny_patch4_window7_224")), 224, 224)


@pytest.mark.slow
def test_windows_of_12_at_384(timm: Any, randomized: Any, captured: Any) -> None:
    narrow = {"embed_dim": 16, "num_heads": (1, 2, 4, 8), "depths": (2, 2, 2, 2)}
    model = timm.create_model("swin_base_patch4_window12_384", **narrow)
    captured(randomized(model), 384, 384)
