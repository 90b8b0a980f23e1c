"""Steps of a recipe, as declarations: transforms, search, corrections. What they do is in
`fullint.quantization`, in the file of the same name.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fullint.recipes.declaration import Declaration


class LayerNormEqualizationConfig(Declaration):
    """Centre and balance LayerNorm's outputs against the weights behind them; each LayerNorm finds
    its own balance.
    """

    type: Literal["layer_norm_equalization"] = "layer_norm_equalization"


class ScaleReparameterizationConfig(Declaration):
    """RepQ-ViT: bring the channels of LayerNorm's outputs to one scale and zero point.

    target: what the channels' scales become, their "mean" (RepQ-ViT) or "median" (DopQ-ViT).
    migration: 0 moves all of the difference into the weights, 1 none (NormQuant's alpha).
    dual_clipping: search each channel's two ends for the least squared error first (RepQuant).
    """

    type: Literal["scale_reparameterization"] = "scale_reparameterization"
    target: Literal["mean", "median"] = "mean"
    migration: float = Field(default=0.0, ge=0.0, le=1.0)
    dual_clipping: bool = False


class SmoothQuantConfig(Declaration):
    """SmoothQuant, and SQ-b of MPTQ-ViT with `centered`: divide LayerNorm's output channels by
    max|x|^balance / max|w|^(1 - balance).
    """

    type: Literal["smooth_quant"] = "smooth_quant"
    balance: float = Field(default=0.5, ge=0.0, le=1.0)
    centered: bool = False


class KeyValueCenteringConfig(Declaration):
    """Centre the channels of keys and values: what integers have instead of zero points a head."""

    type: Literal["key_value_centering"] = "key_value_centering"


class ChannelPermutationConfig(Declaration):
    """PTQ-SL: sort channels by range, so that those of one block are alike."""

    type: Literal["channel_permutation"] = "channel_permutation"


class NoisyBiasConfig(Declaration):
    """NoisyQuant: a fixed noise a channel before rounding, taken back in the bias behind it."""

    type: Literal["noisy_bias"] = "noisy_bias"
    seed: int = 0


TransformConfig = Annotated[
    LayerNormEqualizationConfig
    | ScaleReparameterizationConfig
    | SmoothQuantConfig
    | KeyValueCenteringConfig
    | ChannelPermutationConfig
    | NoisyBiasConfig,
    Field(discriminator="type"),
]


class SearchConfig(Declaration):
    """Rounds that refine the grids of weights and activations in turn, one matrix product after
    the other, all seeing the float model's tensors.

    metric: distance between the product of the float and of the rounded operands.
    candidates: "linear" `count` ranges from `low` to `high` times the present one; "percentile" the
    published list; "progressive" AdaLog's FPCS over scales and zero points together.
    """

    metric: Literal[
        "tensor", "layer_output", "cosine", "pearson", "fisher", "block_output", "logits"
    ] = "layer_output"
    candidates: Literal["linear", "percentile", "progressive"] = "linear"
    rounds: int = Field(default=3, ge=1)
    count: int = Field(default=100, ge=2)
    low: float = Field(default=0.5, gt=0)
    high: float = Field(default=1.2, gt=0)


class BiasCorrectionConfig(Declaration):
    """Take the mean rounding error of every output channel out of the bias."""

    type: Literal["bias_correction"] = "bias_correction"


class GPTQConfig(Declaration):
    """GPTQ: round one input channel after the other and let the rest make up for it.

    damping: added to the diagonal of the inputs' second moments, as a share of its mean.
    activation_order: largest second moment first.
    inputs: of the float model, or as the rounded layers before give them.
    """

    type: Literal["gptq"] = "gptq"
    damping: float = Field(default=0.01, gt=0)
    activation_order: bool = False
    inputs: Literal["float", "quantized"] = "float"


class ActivationRidgeConfig(Declaration):
    """ERQ's Aqer: ridge regression of the float outputs on the rounded inputs."""

    type: Literal["activation_ridge"] = "activation_ridge"
    strength: float = Field(default=1000.0, gt=0)
    inputs: Literal["float", "quantized"] = "float"


class WeightRidgeConfig(Declaration):
    """ERQ's Wqer: round half of the input channels at a time, refine the rounding, and let ridge
    regression make up for it in the rest.
    """

    type: Literal["weight_ridge"] = "weight_ridge"
    strength: float = Field(default=1000.0, gt=0)
    refinements: int = Field(default=100, ge=0)


CorrectionConfig = Annotated[
    BiasCorrectionConfig | GPTQConfig | ActivationRidgeConfig | WeightRidgeConfig,
    Field(discriminator="type"),
]
