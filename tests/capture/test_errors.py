"""What cannot be captured is refused in one sentence that says what, where, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fullint.capture import capture
from fullint.errors import FullintError

NORMALISATION: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


class Classifier(nn.Module):
    """Patches, then what the test is about, then a linear head."""

    def __init__(self, middle: nn.Module) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.middle = middle
        self.head = nn.Linear(8, 5)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        logits: Tensor = self.head(self.middle(tokens).mean(1))
        return logits


class Middle(nn.Module):
    """A function of the tokens (batch, 16, 8)."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, tokens: Tensor) -> Tensor:
        result: Tensor = self.function(tokens)
        return result


def refusal(model: nn.Module, size: int = 16, **normalisation: Any) -> str:
    with pytest.raises(FullintError) as caught:
        capture(model, input_size=(3, size, size), **(NORMALISATION | normalisation))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_classifier_itself_is_fine() -> None:
    capture(Classifier(nn.Identity()), input_size=(3, 16, 16), **NORMALISATION)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda x: x.cumsum(1), "aten.cumsum.default"),
        (lambda x: x.sort(1).values, "aten.sort.default"),
        (lambda x: x / x.norm(dim=-1, keepdim=True), "aten.linalg_vector_norm.default"),
        (lambda x: x * x, "aten.mul.Tensor"),
        (lambda x: x - x.mean(1, keepdim=True), "aten.sub.Tensor"),
        (lambda x: -2 * x, "aten.mul.Tensor"),
        (lambda x: x * torch.arange(1.0, 17.0)[:, None], "aten.mul.Tensor"),
        (lambda x: x.softmax(1), "aten.softmax.int"),
        (lambda x: x.mean(0, keepdim=True) + x, "aten.mean.dim"),
        (lambda x: x.roll(1, 0), "aten.roll.default"),
        (lambda x: x.double().float(), "aten.to.dtype"),
        (lambda x: x[..., :7:2].repeat(1, 1, 2), "aten.repeat.default"),
        (lambda x: nn.functional.pad(x, (0, 0, 1, 0))[:, ::2], "aten.slice.Tensor"),
        (lambda x: nn.functional.pad(x, (1, 0), mode="replicate")[..., :8], "aten.pad.default"),
        (lambda x: nn.functional.pad(x, (0, 0, 0, -1)), "aten.pad.default"),
        (lambda x: x[:, :1].expand(-1, 16, -1), "aten.expand.default"),
        (lambda x: nn.functional.dropout(x, 0.5), "aten.dropout.default"),
        (lambda x: x[0] + x, "aten.select.int"),
        (lambda x: nn.functional.layer_norm(x, (16, 8)), "aten.layer_norm.default"),
        (
            lambda x: nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True),
            "aten.scaled_dot_product_attention.default",
        ),
    ],
)
def test_an_unknown_operator_or_use_is_named_with_its_module(function: Any, named: str) -> None:
    message = refusal(Classifier(Middle(function)))
    assert message.startswith(f"{named} in module 'middle' cannot be captured: ")
    assert "fullint/capture/rewrites" in message


def test_a_convolution_with_overlap_names_its_stride_and_kernel() -> None:
    model = Classifier(nn.Identity())
    model.patches = nn.Conv2d(3, 8, 3, stride=2, padding=1)
    message = refusal(model)
    assert "aten.conv2d.default in module 'patches'" in message
    assert "kernel (3, 3), stride (2, 2), padding [1, 1]" in message


def test_the_image_may_only_be_cut_into_patches() -> None:
    class Preprocessing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = Classifier(nn.Identity())

        def forward(self, image: Tensor) -> Tensor:
            logits: Tensor = self.model(image * 2)
            return logits

    assert "aten.mul.Tensor in the model itself" in refusal(Preprocessing())


def test_swin_v2(timm: Any) -> None:
    model = timm.models.swin_transformer_v2.SwinTransformerV2(
        img_size=32, patch_size=4, embed_dim=16, depths=(1,), num_heads=(2,), window_size=4
    )
    assert "aten.linalg_vector_norm.default in module 'layers.0.blocks.0.attn'" in refusal(
        model, 32
    )


def test_an_image_size_the_model_does_not_take(vit: Any) -> None:
    message = refusal(vit(), 48)
    assert "torch.export cannot trace VisionTransformer for images of (3, 48, 48)" in message
    assert "48" in message


def test_control_flow_on_values() -> None:
    message = refusal(Classifier(Middle(lambda x: x if x.sum() > 0 else -x)))
    assert message.startswith("torch.export cannot trace Classifier")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_parameters_that_are_not_finite(value: float) -> None:
    model = Classifier(nn.Identity())
    with torch.no_grad():
        model.head.weight[1, 2] = value
    assert refusal(model).startswith("parameter head.weight contains NaN or infinity")


def test_constants_that_are_not_finite() -> None:
    message = refusal(Classifier(Middle(lambda x: (x + torch.full((16, 8), -torch.inf)).relu())))
    assert "a constant of module 'middle' contains NaN or infinity" in message


def test_other_number_types() -> None:
    assert "parameter patches.weight is float64" in refusal(Classifier(nn.Identity()).double())


def test_mean_and_std_must_fit_the_channels() -> None:
    assert "3 channels" in refusal(Classifier(nn.Identity()), mean=(0.5,))
    assert "positive" in refusal(Classifier(nn.Identity()), std=(0.5, 0.5, 0.0))


def test_a_model_without_logits() -> None:
    model = Classifier(nn.Identity())
    model.forward = lambda image: model.patches(image)  # type: ignore[method-assign]
    assert "returns ('batch', 8, 4, 4), not one tensor of logits" in refusal(model)


def test_a_model_that_ignores_the_image() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.rand(5))

        def forward(self, image: Tensor) -> Tensor:
            return self.logits.expand(image.shape[0], 5)

    assert "nothing that depends on the image" in refusal(Constant())


def test_a_graph_that_differs_from_the_model_is_refused() -> None:
    # Constants are evaluated for a batch of one, and this one depends on the batch size.
    message = refusal(Classifier(Middle(lambda x: x + x.shape[0])))
    assert message.startswith("the captured graph of Classifier differs from the model by ")
