from __future__ import annotations

from dataclasses import replace

from fullint.integer.metadata import ModelMetadata, Provenance
from fullint.integer.model_card import model_card
from fullint.integer.program import IntegerProgram

FULL = """\
# small_patch4, integer only

uint8 pixels (4 × 6 × 3) in, 5 int32 logits out, integer arithmetic between. Float operations: 0.

* checkpoint: `small.safetensors`, sha256 `{checkpoint}`
* recipe: `fq-vit`; its full declaration is in `config.json`
* bits: weights 8, activations 8, attention 4
* calibration: 128 images of `cc-calibration`, sha256 `{calibration}`
* made by: fullint 0.1.0
* size: 510 bytes; float 4000 bytes, 7.84 times as much

## Measured

* Float simulation and integer program put the same class first on 15 of 16 images.
* `val`, 40 images: top-1 80.00 (± 6.32).

Rates in percent, of the integer program unless named float (± standard error).

## Run

```python
import fullint
model = fullint.load("path/of/this/folder")
logits = model(pixels)  # pixels: uint8, (images, 4, 6, 3)
```

    fullint evaluate path/of/this/folder --data-dir images/
"""


def test_all_that_is_known(small_program: IntegerProgram, small_metadata: ModelMetadata) -> None:
    expected = FULL.format(checkpoint="ab" * 32, calibration="cd" * 32)
    assert model_card(small_program, small_metadata) == expected


def test_nothing_that_is_unknown(small_program: IntegerProgram) -> None:
    card = model_card(small_program, ModelMetadata())
    assert "# Vision transformer, integer only" in card
    assert "Nothing yet" in card
    for unknown in ("checkpoint", "recipe", "bits:", "calibration", "made by", "None", "nan", "%"):
        assert unknown not in card


def test_every_rate_of_an_evaluation(small_program: IntegerProgram) -> None:
    row = {
        "data": "val-1300",
        "images": 1300,
        "skipped": 2,
        "top1": 80.4615,
        "top1_standard_error": 1.0997,
        "top5": 94.0,
        "float_top1": 80.6154,
        "agreement": 98.5385,
        "agreement_standard_error": 0.3328,
        "top1_difference": -0.1538,
    }
    card = model_card(small_program, ModelMetadata().with_measurement(row))
    assert (
        "* `val-1300`, 1300 images (2 more could not be read): top-1 80.46 (± 1.10), top-5 94.00, "
        "float top-1 80.62, agreement with the float model 98.54 (± 0.33), top-1 difference -0.15."
    ) in card


def test_doctored_programs_show(small_program: IntegerProgram) -> None:
    small_program.constants["gamma"] = small_program.constants["gamma"].astype(float)
    assert "Float operations: 2." in model_card(small_program, ModelMetadata())


def test_a_name_cannot_break_out_of_its_line(
    small_program: IntegerProgram, small_metadata: ModelMetadata
) -> None:
    hostile = Provenance(checkpoint="`\n# Accuracy: 100 %\n")
    card = model_card(small_program, replace(small_metadata, provenance=hostile))
    assert "\n# Accuracy" not in card
