"""What each hardware unit costs in accuracy, as the CSV that `fullint hardware --accuracy` reads.

    python scripts/unit_accuracy.py deit_tiny_patch16_224 --checkpoint W.safetensors \
        --data-dir calibration/ --val-dir val/ -o accuracy.csv

The recipe `sole`, with exact softmax and exact LayerNorm but for one operation: the unit's.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import tempfile
from pathlib import Path

import numpy as np

import fullint
from fullint import evaluation
from fullint.calibration import CalibrationSet
from fullint.data import ImageFolder, ImageLoader, Preprocessing, resolve_class_map
from fullint.integer.model import load_model
from fullint.recipes import find_recipe
from fullint.recipes.operations import AILayerNorm, E2Softmax, ExactLayerNorm, ExactSoftmax
from fullint.recipes.schema import Log2Config, Recipe
from fullint.sources import ModelSource

LONGER_THAN_A_ROW = 2**15


def recipes() -> dict[str, Recipe]:
    """A recipe for every unit that `fullint hardware` measures, and one for none of them."""
    sole = find_recipe("sole")
    plain = {**dict(sole), "softmax": ExactSoftmax(), "layer_norm": ExactLayerNorm()}
    log2 = {**sole.activations, "attention_map": Log2Config()}
    known = E2Softmax(fraction_bits=2, group=LONGER_THAN_A_ROW)
    changes: dict[str, dict[str, object]] = {
        "layer_norm": {},
        "log2_softmax": {"activations": log2},
        "e2softmax": {"softmax": E2Softmax(fraction_bits=2)},
        "e2softmax_whole_octaves": {"softmax": E2Softmax(fraction_bits=0)},
        "e2softmax_nats": {"softmax": E2Softmax(fraction_bits=3, natural=True)},
        "e2softmax_log2": {"softmax": E2Softmax(fraction_bits=2), "activations": log2},
        "e2softmax_known_maximum": {"softmax": known},
        "ailayernorm": {"layer_norm": AILayerNorm(ranges=3)},
        "ailayernorm_two_ranges": {"layer_norm": AILayerNorm(ranges=2)},
    }
    return {
        unit: Recipe.model_validate(plain | change | {"name": f"sole-{unit}"})
        for unit, change in changes.items()
    }


class FloatModel:
    """The reference's logits, computed once for each batch of pixels."""

    def __init__(self, reference: ModelSource) -> None:
        self._reference = reference
        self._known: dict[bytes, np.ndarray] = {}

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Logits of a batch."""
        key = hashlib.sha256(pixels.tobytes()).digest()
        if key not in self._known:
            self._known[key] = self._reference.logits(pixels)
        return self._known[key]


def main() -> None:
    """Quantize and measure with one unit after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    for option in ("--checkpoint", "--data-dir", "--val-dir", "-o"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--images", type=int, default=128, help="for calibration")
    arguments = parser.parse_args()
    source = fullint.load_timm_model(arguments.model, arguments.checkpoint, crop_mode="plain")
    calibration = CalibrationSet(arguments.data_dir, source.preprocessing, limit=arguments.images)
    folder = ImageFolder.scan(arguments.val_dir)
    float_model, rows = FloatModel(source), []
    for unit, recipe in recipes().items():
        with tempfile.TemporaryDirectory() as out:
            fullint.quantize(source, calibration, recipe=recipe).save(Path(out) / "model")
            model = load_model(Path(out) / "model")
            assert model.preprocessing is not None
            preprocessing = Preprocessing.from_dict(model.preprocessing)
            ids = model.metadata.class_ids
            labels = resolve_class_map(folder.labels, model.classes, None, ids)
            loader = ImageLoader(folder.paths, preprocessing, batch_size=16)
            indices = labels.indices(folder.labels)
            found = evaluation.evaluate(model, loader, indices, float_model).row()
        rows.append({"unit": unit, "data": arguments.val_dir.name, **found})
        print(rows[-1], flush=True)
        with arguments.o.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
