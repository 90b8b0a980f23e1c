"""Errors of the integer softmaxes on the real scores of a saved model, as a Markdown table.

    python scripts/softmax_errors.py out/ --data-dir images/

All layers, heads and tokens of one image. Errors in steps of 1/256; the sum of a row is 1 for a
real softmax.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fullint.data import ImageFolder, ImageLoader, Preprocessing
from fullint.hardware.workload import SOFTMAX_KINDS
from fullint.integer.interpreter import trace
from fullint.integer.model import IntegerModel, load_model
from fullint.integer.ops import find_operation
from fullint.integer.ops.e2softmax import LEAST_ERROR_QUOTIENTS, PUBLISHED_QUOTIENTS
from fullint.integer.softmax_parts import FRACTION_BITS

LOG2_E = np.log2(np.e)
IDENTITY = tuple(np.array([part]) for part in (0, 1, 0))


def octaves_below_maximum(model: IntegerModel, pixels: np.ndarray) -> np.ndarray:
    """Distances (rows, length) of all scores below their row's maximum, real numbers."""
    program = model.program
    wanted = {op.inputs[0]: op for op in program.operations if op.kind in SOFTMAX_KINDS}
    rows = []
    for name, scores in trace(program, pixels):
        if name in wanted:
            pre_shift, multiplier, shift = (
                program.constants[part].astype(np.float64) for part in wanted[name].inputs[1:4]
            )
            factor = multiplier * 2.0 ** -(pre_shift + shift + FRACTION_BITS)
            below = (scores.max(-1, keepdims=True) - scores.astype(np.int64)) * factor
            rows.append(below.reshape(-1, below.shape[-1]))
    return np.concatenate(rows)


def e2softmax(
    octaves: np.ndarray,
    fraction_bits: int,
    natural: int,
    group: int,
    quotients: tuple[int, int] = PUBLISHED_QUOTIENTS,
) -> np.ndarray:
    """Weights in steps of 1/256, the row's maximum at code 255."""
    steps = octaves / (LOG2_E if natural else 1) * 2**fraction_bits
    codes = 255 - np.minimum(np.rint(steps), 255).astype(np.int64)
    return find_operation("e2softmax").compute(
        codes[None],
        *IDENTITY,
        zero_point=0,
        fraction_bits=fraction_bits,
        natural=natural,
        group=group,
        output_bits=8,
        quotients=quotients,
    )[0]


def report(name: str, weights: np.ndarray, real: np.ndarray) -> None:
    """One row of the table."""
    difference, sums = weights - real, weights.sum(-1) / 256
    print(
        f"| {name} | {difference.mean():+.3f} | {np.sqrt((difference**2).mean()):.2f} "
        f"| {abs(difference).max():.0f} | {sums.min():.2f} to {sums.max():.2f} |"
    )


def main() -> None:
    """Run one image and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artefact", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    arguments = parser.parse_args()
    model = load_model(arguments.artefact)
    preprocessing = Preprocessing.from_dict(model.preprocessing or {})
    paths = ImageFolder.scan(arguments.data_dir).paths[:1]
    pixels, _ = next(iter(ImageLoader(paths, preprocessing, batch_size=1)))
    octaves = octaves_below_maximum(model, pixels)
    real = 2.0**-octaves
    real *= 256 / real.sum(-1, keepdims=True)
    length = octaves.shape[-1]
    print(f"{len(octaves)} rows of {length}\n")
    print("| softmax | mean error | root mean square | worst | sum of a row |")
    print("| --- | --- | --- | --- | --- |")
    distances = np.rint(octaves * 2**FRACTION_BITS).astype(np.int64)[None]
    exact = find_operation("softmax").compute(-distances, *IDENTITY)[0] * (256 / 255)
    report("softmax (uint8)", exact, real)
    codes = find_operation("log2_softmax").compute(-distances, *IDENTITY, rounding=512)[0]
    report("log2_softmax", 2.0 ** (8 - codes), real)
    for name, group in (("one element", 1), ("16 lanes", 16), ("known maximum", length)):
        report(f"e2softmax, nats / 8, {name}", e2softmax(octaves, 3, 1, group), real)
        report(f"e2softmax, octaves / 8, {name}", e2softmax(octaves, 3, 0, group), real)
    report("e2softmax, whole octaves, any order", e2softmax(octaves, 0, 0, 16), real)
    least = e2softmax(octaves, 3, 0, length, LEAST_ERROR_QUOTIENTS)
    report("e2softmax, octaves / 8, known maximum, quotients 208, 147", least, real)


if __name__ == "__main__":
    main()
