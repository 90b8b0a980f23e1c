"""Errors of every integer softmax, LayerNorm and GELU, on uniform, Gaussian and real inputs.

    python scripts/nonlinearity_errors.py deit_tiny_patch16_224 --checkpoint W.safetensors \\
        --data-dir images/ --output benchmarks/nonlinearities

Real inputs are those of all softmaxes, LayerNorms and GELUs of the float model on the first images
of the folder. Each is brought to codes as a recipe would bring it (a scale a layer; 8-bit codes
with a power of two a channel for LayerNorm), and the operation's result is compared with the exact
function of those very codes, so that what is counted is the operation's own error. Writes
errors.csv and errors.md.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fullint
from fullint.capture import capture, normal_form
from fullint.data import ImageFolder, ImageLoader
from fullint.integer.ops import find_operation
from fullint.integer.ops.e2softmax import LEAST_ERROR_QUOTIENTS, PUBLISHED_QUOTIENTS
from fullint.lowering.emitters.layer_norm import exact_constants, narrow_constants, root_constants
from fullint.lowering.factors import fast_factors
from fullint.quantization.graph import GraphRunner

OCTAVE = math.log2(math.e)
ROWS, LENGTH, CHANNELS = 1500, 197, 192
Inputs = dict[str, list[np.ndarray]]
Row = dict[str, str | float]
Attributes = dict[str, Any]


def factor(real: float, largest_input: int, largest_output: int) -> list[np.ndarray]:
    """Constants of a requantization."""
    chosen = fast_factors(
        np.array([real]), largest_input=largest_input, largest_output=largest_output
    )
    return [chosen.pre_shift, chosen.multiplier, chosen.shift]


def softmaxes() -> dict[str, tuple[str, Attributes, float, float]]:
    """By name: operation, attributes, its steps a nat (0: distances), one step of its weights."""
    e2 = {"zero_point": 128, "output_bits": 8, "quotients": PUBLISHED_QUOTIENTS}
    shift = {"natural": 0, "rounding": 1}
    paper = {"fraction_bits": 3, "octaves": 15, "natural": 1, "rounding": 0}
    found: dict[str, tuple[str, Attributes, float, float]] = {
        "exact uint8": ("softmax", {}, 1024 * OCTAVE, 1 / 255),
        "log-int": ("log2_softmax", {"rounding": 512}, 1024 * OCTAVE, 0),
        "shiftmax, published, 7 bits": ("shiftmax", paper | {"output_bits": 7}, 8, 2**-7),
        "shiftmax, published, 15 bits": ("shiftmax", paper | {"output_bits": 15}, 8, 2**-15),
    }
    for bits in (8, 15):
        ours = shift | {"fraction_bits": 4, "octaves": 12, "output_bits": bits}
        found[f"shiftmax, {bits} bits"] = ("shiftmax", ours, 16 * OCTAVE, 2.0**-bits)
    for name, natural, fraction_bits, group, changes in (
        ("nats / 4, one at a time (published)", 1, 2, 1, {}),
        ("octaves / 2, one at a time", 0, 1, 1, {}),
        ("octaves / 2, 16 at a time", 0, 1, 16, {}),
        ("octaves / 2, maximum known", 0, 1, LENGTH, {}),
        ("octaves / 2, 16, least-error quotients", 0, 1, 16, {"quotients": LEAST_ERROR_QUOTIENTS}),
        ("octaves / 4, 16 at a time", 0, 2, 16, {}),
        ("whole octaves, any order", 0, 0, 16, {}),
        ("octaves / 2, 16, 4-bit codes", 0, 1, 16, {"output_bits": 4}),
    ):
        attributes = e2 | {"natural": natural, "fraction_bits": fraction_bits, "group": group}
        steps = (1 if natural else OCTAVE) * 2**fraction_bits
        step = 0 if changes.get("output_bits") == 4 else 1 / 256
        found[f"e2softmax, {name}"] = ("e2softmax", attributes | changes, steps, step)
    for fraction_bits, rounding, name in (
        (5, 0, "octaves / 32, cut off (published)"),
        (1, 0, "octaves / 2, cut off"),
        (1, 1, "octaves / 2, rounded"),
        (0, 1, "whole octaves, rounded"),
    ):
        attributes = {"fraction_bits": fraction_bits, "group": 16, "rounding": rounding}
        steps = OCTAVE * 2**fraction_bits
        found[f"itamax, {name}"] = ("itamax", {"zero_point": 128} | attributes, steps, 1 / 256)
    return found


def softmax_errors(scores: list[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Scores (rows, length), in nats, to errors of weights, in 1."""
    resolution = 2**-10
    for name, (kind, attributes, steps, step) in softmaxes().items():
        errors = []
        for rows in scores:
            codes = np.rint(rows / resolution).astype(np.int64)
            limit = 255 if "zero_point" in attributes else 2**15
            constants = factor(steps * resolution, 2**20, limit)
            result = find_operation(kind).compute(codes[None], *constants, **attributes)[0]
            exact = np.exp((codes - codes.max(-1, keepdims=True)) * resolution)
            exact /= exact.sum(-1, keepdims=True)
            errors.append((result * step if step else 2.0**-result) - exact)
        yield name, np.concatenate(errors)


def layer_norms() -> dict[str, tuple[str, Attributes, Callable[..., tuple[np.ndarray, ...]]]]:
    """By name: operation, attributes, the constants for gain and offset."""
    found: dict[str, tuple[str, Attributes, Callable[..., tuple[np.ndarray, ...]]]] = {
        "exact": ("layer_norm", {"epsilon": 1}, exact_constants)
    }
    for name, fraction_bits, start_bits, iterations in (
        ("published", 0, 16, 10),
        ("4 finer bits", 4, 16, 10),
        ("4 finer bits, 4 steps from the leading one", 4, 0, 4),
    ):
        attributes = {"epsilon": 1, "fraction_bits": fraction_bits, "start_bits": start_bits}
        attributes |= {"iterations": iterations}
        found[f"i-layernorm, {name}"] = ("i_layernorm", attributes, root_constants)
    for ranges, name in ((2, "two ranges (published)"), (3, "three ranges")):
        attributes = {"epsilon": 16, "ranges": ranges}
        found[f"ailayernorm, {name}"] = ("ailayernorm", attributes, narrow_constants)
    return found


def power_of_two_codes(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """8-bit codes about zero (tokens, C), and each channel's shift, 0 to 3, by its range."""
    largest = np.abs(tokens).max(axis=0)
    step = largest.max() / 127 / 8
    shift = np.clip(np.ceil(np.log2(np.maximum(largest / 127 / step, 1e-9))), 0, 3).astype(np.int64)
    return np.rint(tokens / (step * 2.0**shift)).astype(np.int64), shift


def layer_norm_errors(inputs: list[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Tokens (tokens, C) to errors of the normalised value, in standard deviations."""
    for name, (kind, attributes, constants) in layer_norms().items():
        errors = []
        for tokens in inputs:
            codes, shift = power_of_two_codes(tokens)
            channels, narrow = codes.shape[-1], kind == "ailayernorm"
            # 8-bit results hold 8 deviations either way, wide ones all.
            steps = 127 / 8 if narrow else 1024.0
            affine = constants(np.full(channels, steps), np.zeros(channels))
            result = find_operation(kind).compute(
                codes[None],
                shift,
                *affine,
                zero_x=0,
                zero_point=0,
                low=-(2**15),
                high=2**15 - 1,
                **attributes,
            )[0]
            values = codes * 2.0**shift
            deviation = np.maximum(values.std(-1, keepdims=True), 1e-9)
            errors.append(result / steps - (values - values.mean(-1, keepdims=True)) / deviation)
        yield name, np.concatenate(errors)


def gelus() -> dict[str, tuple[str, Attributes, float, float]]:
    """By name: operation, attributes, its steps for an input of 1, its gate of one."""
    edge, unit = round(1.769 * 2**10), round(2**20 / 0.2888)
    parabola = {"edge": edge, "unit": unit, "gate_shift": 7}
    published = {"fraction_bits": 4, "octaves": 23, "natural": 1, "rounding": 0, "gate_bits": 7}
    ours = {"fraction_bits": 5, "octaves": 10, "natural": 0, "rounding": 1, "gate_bits": 8}
    own, row = {"row_maximum": 0}, {"row_maximum": 1}
    return {
        "shiftgelu, published": ("shiftgelu", published | row, 16 * 1.702, 2**7),
        "shiftgelu, slope 1.702": ("shiftgelu", ours | own, 32 * OCTAVE * 1.702, 2**8),
        "shiftgelu, slope 1.8": ("shiftgelu", ours | own, 32 * OCTAVE * 1.8, 2**8),
        "ibert": ("ibert_gelu", parabola, 2**10 / math.sqrt(2), 2 * unit / 2**7),
    }


def gelu_errors(inputs: list[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Tokens (tokens, C), as 12-bit codes, to errors of the result, in 1."""
    for name, (kind, attributes, steps, gate) in gelus().items():
        errors = []
        for tokens in inputs:
            scale = float(np.abs(tokens).max()) / 2047
            codes = np.rint(tokens / scale).astype(np.int64)
            output = float(np.abs(tokens).max()) / 32767
            result = find_operation(kind).compute(
                codes[None],
                *factor(steps * scale, 4095, attributes.get("octaves", 24) + 1 << 11),
                *factor(scale / gate / output, math.ceil(2048 * gate), 32767),
                **attributes,
                zero_x=0,
                zero_point=0,
                low=-(2**15),
                high=2**15 - 1,
            )[0]
            exact = torch.nn.functional.gelu(torch.from_numpy(codes * scale)).numpy()
            errors.append(result * output - exact)
        yield name, np.concatenate(errors)


def synthetic(seed: int) -> dict[str, Inputs]:
    """Uniform and Gaussian inputs of the sizes that a vision transformer has."""
    random = np.random.default_rng(seed)
    shapes = {"softmax": (ROWS, LENGTH), "layernorm": (ROWS, CHANNELS), "gelu": (300, 4 * CHANNELS)}
    spread = {"softmax": 2.0, "layernorm": 30.0, "gelu": 2.0}
    return {
        "uniform": {
            name: [(random.random(shape) - 0.5) * 6 * spread[name]]
            for name, shape in shapes.items()
        },
        "Gaussian": {
            name: [random.normal(size=shape) * spread[name]] for name, shape in shapes.items()
        },
    }


def captured_inputs(model: str, checkpoint: Path | None, folder: Path, images: int) -> Inputs:
    """What the float model's softmaxes, LayerNorms and GELUs read, one array a layer."""
    source = fullint.load_timm_model(model, checkpoint)
    spec = source.preprocessing
    size = (spec.channels, spec.height, spec.width)
    module = capture(source.model, input_size=size, mean=spec.mean, std=spec.std)
    targets = {
        normal_form.softmax: "softmax",
        normal_form.layer_norm: "layernorm",
        normal_form.activation: "gelu",
    }
    values: dict[torch.fx.Node, torch.Tensor] = {}
    inputs: Inputs = {name: [] for name in targets.values()}

    def keep(node: torch.fx.Node, value: torch.Tensor) -> torch.Tensor:
        if any(user.target in targets for user in node.users):
            values[node] = value
        if node.target in targets:
            read = values[node.all_input_nodes[0]]
            rows = read.reshape(-1, read.shape[-1]).double().numpy()
            inputs[targets[node.target]].append(rows)
        return value

    loader = ImageLoader(ImageFolder.scan(folder).paths[:images], spec, batch_size=images)
    pixels, _ = next(iter(loader))
    with torch.no_grad():
        GraphRunner(module, keep).run(torch.from_numpy(pixels).float())
    return inputs


def rows_of(function: str, inputs: str, arrays: list[np.ndarray]) -> Iterator[Row]:
    """A row of the table for every variant of a function."""
    measured = {"softmax": softmax_errors, "layernorm": layer_norm_errors, "gelu": gelu_errors}
    for name, errors in measured[function](arrays):
        yield {
            "function": function,
            "variant": name,
            "inputs": inputs,
            "mean": float(errors.mean()),
            "mean_size": float(np.abs(errors).mean()),
            "root_mean_square": float(np.sqrt(np.square(errors).mean())),
            "worst": float(np.abs(errors).max()),
        }


def to_markdown(rows: list[Row], title: str) -> str:
    """A table a function: a row a variant, mean and worst size of the error for each input."""
    parts = [title]
    kinds = list(dict.fromkeys(str(row["inputs"]) for row in rows))
    units = {"softmax": "1/256", "layernorm": "1/100 of a deviation", "gelu": "1/1000"}
    factors = {"softmax": 256, "layernorm": 100, "gelu": 1000}
    for function, unit in units.items():
        parts.append(f"## {function}, errors in {unit}: mean, root mean square, worst")
        lines = ["| variant | " + " | ".join(kinds) + " |", "| --- |" + " --- |" * len(kinds)]
        mine = [row for row in rows if row["function"] == function]
        for variant in dict.fromkeys(str(row["variant"]) for row in mine):
            cells = [
                " / ".join(
                    f"{float(row[name]) * factors[function]:{form}}"
                    for name, form in (
                        ("mean", "+.2f"),
                        ("root_mean_square", ".2f"),
                        ("worst", ".1f"),
                    )
                )
                for row in mine
                if row["variant"] == variant
            ]
            lines.append(f"| {variant} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Capture, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    real = captured_inputs(
        arguments.model, arguments.checkpoint, arguments.data_dir, arguments.images
    )
    sets = synthetic(seed=0) | {"real": real}
    rows = [
        row
        for name, inputs in sets.items()
        for function, arrays in inputs.items()
        for row in rows_of(function, name, arrays)
    ]
    title = (
        f"# Errors of integer softmax, LayerNorm and GELU\n\nReal inputs: all layers of "
        f"{arguments.model} on {arguments.images} images. By `scripts/nonlinearity_errors.py`, "
        "whose documentation says what is compared."
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    with (arguments.output / "errors.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    text = to_markdown(rows, title)
    (arguments.output / "errors.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
