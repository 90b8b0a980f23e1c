"""Compare every kernel of every instruction set with the specification, bit for bit.

python dev/kernels/validate.py [--isa amx] [--kind linear] [--seconds 60] [--seed 0]
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import attention_cases
import binding
import cases
import linear_cases
import numpy as np
import row_cases

CHECKS = {
    "linear": linear_cases.check_linear,
    "requantize": cases.check_requantize,
    "rescaled_add": cases.check_rescaled_add,
    "lookup": cases.check_lookup,
    "layer_norm": cases.check_layer_norm,
    "attention": attention_cases.check_attention,
    "row_softmax": row_cases.check_row_softmax,
    "row_norm": row_cases.check_row_norm,
    "row_gelu": row_cases.check_row_gelu,
    "word_lookup": row_cases.check_word_lookup,
}


def main() -> int:
    """Random cases in turn until the time is up; stops at the first difference."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--isa", choices=binding.ISAS)
    parser.add_argument("--kind", choices=tuple(CHECKS))
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    isas = (
        [arguments.isa] if arguments.isa else [i for i in binding.ISAS if binding.is_supported(i)]
    )
    kinds = [arguments.kind] if arguments.kind else list(CHECKS)
    end, seed, counts = (
        time.monotonic() + arguments.seconds,
        arguments.seed,
        dict.fromkeys(kinds, 0),
    )
    while time.monotonic() < end:
        for kind in kinds:
            differences = CHECKS[kind](np.random.default_rng(seed), isas)
            binding.release_memory()
            counts[kind] += 1
            if differences:
                print(f"{kind}, seed {seed}:", *differences, sep="\n  ")
                return 1
        seed += 1
    print(f"{', '.join(isas)} equal the specification:", counts)
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # guarded memory is not worth tidying up
