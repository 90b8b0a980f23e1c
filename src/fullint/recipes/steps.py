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


class LayerNormFoldingConfig(Declaration):
    """Move LayerNorm's gain and offset into the linear layers behind it."""

    type: Literal["layer_norm_folding"] = "layer_norm_folding"


class ScaleReparameterizationConfig(Declaration):
    """RepQ-ViT: bring the channels of LayerNorm's outputs to one scale and zero point.

    target: what the channels' scales become, their "mean" (RepQ-ViT) or "median" (DopQ-ViT).
    migration: 0 evens out the channels' scales, 1 those of the weights' columns (NormQuant's
    alpha); above 0, calibration chooses the common grid.
    dual_clipping: search each channel's two ends for the least squared error first (RepQuant).
    groups: give the channels of a group one range; so many groups of alike ranges are found by
    expectation maximization (IGQ-ViT, but once for all images). None: every channel its own.
    """

    type: Literal["scale_reparameterization"] = "scale_reparameterization"
    target: Literal["mean", "median"] = "mean"
    migration: float = Field(default=0.0, ge=0.0, le=1.0)
    dual_clipping: bool = False
    groups: int | None = Field(default=None, ge=1)


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


class QueryKeyValueEqualizationConfig(Declaration):
    """Balance the channels of queries against those of keys, and of values against the weights
    behind the attention.
    """

    type: Literal["query_key_value_equalization"] = "query_key_value_equalization"


class StreamRotationConfig(Declaration):
    """Turn the residual stream by a random rotation that leaves LayerNorm as it is; LayerNorm's
    gain and offset go into the linear layers behind it.
    """

    type: Literal["stream_rotation"] = "stream_rotation"
    seed: int = 0


class HeadRotationConfig(Declaration):
    """Turn queries and keys of every head alike, and its values against the weights behind them."""

    type: Literal["head_rotation"] = "head_rotation"
    seed: int = 0


class ChannelPermutationConfig(Declaration):
    """PTQ-SL: sort channels by range, so that those of one block are alike."""

    type: Literal["channel_permutation"] = "channel_permutation"


class NoisyBiasConfig(Declaration):
    """NoisyQuant: a fixed noise a channel before rounding, taken back in the bias behind it."""

    type: Literal["noisy_bias"] = "noisy_bias"
    seed: int = 0


TransformConfig = Annotated[
    LayerNormEqualizationConfig
    | LayerNormFoldingConfig
    | ScaleReparameterizationConfig
    | SmoothQuantConfig
    | KeyValueCenteringConfig
    | QueryKeyValueEqualizationConfig
    | StreamRotationConfig
    | HeadRotationConfig
    | ChannelPermutationConfig
    | NoisyBiasConfig,
    Field(discriminator="type"),
]


class SearchConfig(Declaration):
    """Rounds that refine the grids of weights and activations in turn, one matrix product after
    the other, all seeing the float model's tensors.

    metric: distance between the product of the float and of the rounded operands. "block_output"
    and "logits" run the model on behind it: for a `count` of about ten and one round.
    candidates: "linear" `count` ranges from `low` to `high` times the present one; "percentile" the
    published list; "progressive" AdaLog's FPCS over scales and zero points together, about `count`
    of them in its first step. Grids of levels have their base or exponent searched in all of them.
    """

    metric: Literal[
        "tensor", "layer_output", "cosine", "pearson", "fisher", "block_output", "logits"
    ] = "layer_output"
    candidates: Literal["linear", "percentile", "progressive"] = "linear"
    rounds: int = Field(default=3, ge=1)
    count: int = Field(default=100, ge=2)
    low: float = Field(default=0.5, gt=0)
    high: float = Field(default=1.2, gt=0)


class LayerCorrectionConfig(Declaration):
    """A change of every linear layer's weight or bias, whose target is the float model's output.

    inputs: the layer's inputs are those of the "float" model, rounded on their own grid, or as the
    "quantized" layers before give them, with these corrected. Corrections that follow each other
    with the same inputs go together, layer by layer.
    """

    inputs: Literal["float", "quantized"] = "float"


class BiasCorrectionConfig(LayerCorrectionConfig):
    """Take the mean error of every output channel out of the bias."""

    type: Literal["bias_correction"] = "bias_correction"


class GPTQConfig(LayerCorrectionConfig):
    """GPTQ: round one input channel after the other and let the rest make up for it.

    damping: added to the diagonal of the inputs' second moments, as a share of its mean.
    activation_order: largest second moment first.
    range_search: try several ranges for every row, and keep the one that ends with the least error.
    """

    type: Literal["gptq"] = "gptq"
    damping: float = Field(default=0.01, gt=0)
    activation_order: bool = False
    range_search: bool = False


class ActivationRidgeConfig(LayerCorrectionConfig):
    """ERQ's Aqer: ridge regression of the float outputs on the rounded inputs.

    strength: how many tokens the old weights are worth; None finds out for each layer.
    """

    type: Literal["activation_ridge"] = "activation_ridge"
    strength: float | None = Field(default=None, gt=0)


class WeightRidgeConfig(LayerCorrectionConfig):
    """ERQ's Wqer: round half of the input channels at a time, refine the rounding, and let ridge
    regression make up for it in the rest.

    strength: as for activation_ridge. refinements: most weights of a row and a half that go to
    other than their nearest value.
    """

    type: Literal["weight_ridge"] = "weight_ridge"
    strength: float = Field(default=1000.0, gt=0)
    refinements: int = Field(default=100, ge=0)


CorrectionConfig = Annotated[
    BiasCorrectionConfig | GPTQConfig | ActivationRidgeConfig | WeightRidgeConfig,
    Field(discriminator="type"),
]
