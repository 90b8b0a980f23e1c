"""Softmaxes that read a row in its order, and any attributes of theirs."""

from __future__ import annotations

import numpy as np

CODE_SOFTMAXES = ["e2softmax", "itamax"]  # from scores brought to 8-bit codes
ROW_SOFTMAXES = [*CODE_SOFTMAXES, "shiftmax"]


def row_softmax_attributes(kind: str, random: np.random.Generator) -> dict[str, object]:
    """Legal ones for rows of up to 785 scores."""
    natural = int(random.integers(2))
    if kind == "shiftmax":
        fraction_bits = int(random.integers(0, 8))
        return {
            "fraction_bits": fraction_bits,
            "octaves": int(random.integers(1, 15 - fraction_bits)),
            "natural": natural,
            "rounding": int(random.integers(2)),
            "output_bits": int(random.choice([4, 7, 8, 15])),
        }
    attributes: dict[str, object] = {
        "zero_point": int(random.choice([0, 128, 255])),
        "fraction_bits": int(random.integers(0, 6)),
        "group": int(random.choice([1, 2, 8, 16, 50, 64, 1000])),
    }
    if kind == "itamax":
        return {**attributes, "rounding": int(random.integers(2))}
    return {
        **attributes,
        "natural": natural,
        "output_bits": int(random.choice([4, 8])),
        "quotients": [(209, 145), (255, 1)][int(random.integers(2))],
    }


def gives_powers(attributes: dict[str, object]) -> bool:
    """Whether results are codes for powers of two, which `shift_matmul` takes."""
    return "group" in attributes and attributes.get("output_bits") == 4
