"""Train the demo's checkpoint, `src/fullint/demo/digits_vit.safetensors`, from scratch.

    python scripts/train_digits.py

Takes about two minutes of one core. One thread and fixed seeds: the same machine and versions give
the same file.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from fullint.demo import digits

BATCH_SIZE = 32
PEAK_LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
LABEL_SMOOTHING = 0.1
# Bounds of the random affine map of every training image; shifts in halves of the image's side.
LARGEST_ROTATION = math.radians(15)
LARGEST_SCALING = 0.1
LARGEST_SHEAR = 0.15
LARGEST_SHIFT = 0.15


def main() -> None:
    """Train, save, and print the accuracy on the digits held out."""
    parser = argparse.ArgumentParser(
        description="Train the demo's vision transformer on handwritten digits."
    )
    parser.add_argument(
        "--output", type=Path, default=digits.CHECKPOINT, help="file to write (%(default)s)"
    )
    parser.add_argument(
        "--epochs", type=int, default=200, help="passes over the training digits (%(default)s)"
    )
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(0)
    images, labels, held_out = (torch.from_numpy(array) for array in digits.load_digit_images())
    model = digits.untrained_digits_model()
    train(model, images[~held_out], labels[~held_out], arguments.epochs)
    save_file(model.state_dict(), arguments.output)

    count = int(held_out.sum())
    correct = count_correct(model, images[held_out], labels[held_out])
    print(f"{arguments.output}: {sum(p.numel() for p in model.parameters()):,} parameters")
    print(f"held-out accuracy {100 * correct / count:.2f} % ({correct} of {count})")


def train(model: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Train `model` in place on uint8 `images` (N, 32, 32, 3) and int64 `labels` (N,)."""
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=WEIGHT_DECAY)
    steps = epochs * (len(images) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_LEARNING_RATE, total_steps=steps, pct_start=0.1
    )
    model.train()
    for _ in track(range(epochs), description="training"):
        for batch in shuffled_batches(len(images)):
            logits = model(digits.normalize_digits(distort(images[batch])))
            loss = functional.cross_entropy(logits, labels[batch], label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def shuffled_batches(count: int) -> Iterator[Tensor]:
    """Indices of whole batches in a new random order; the remainder sits this pass out."""
    order = torch.randperm(count)
    for start in range(0, count - BATCH_SIZE + 1, BATCH_SIZE):
        yield order[start : start + BATCH_SIZE]


def distort(pixels: Tensor) -> Tensor:
    """Float `pixels` (B, 32, 32, 3), each rotated, scaled, sheared and shifted at random."""
    count = len(pixels)
    angle = uniform(count, LARGEST_ROTATION)
    scale = 1 + uniform(count, LARGEST_SCALING)
    shear = uniform(count, LARGEST_SHEAR)
    across, down = uniform(count, LARGEST_SHIFT), uniform(count, LARGEST_SHIFT)
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    rows = torch.stack([cosine, shear - sine, across]), torch.stack([sine, cosine, down])
    maps = torch.stack(rows).permute(2, 0, 1)  # (B, 2, 3)
    channels_first = pixels.float().permute(0, 3, 1, 2)
    grid = functional.affine_grid(maps, list(channels_first.shape), align_corners=False)
    # Zeros come in from outside: the digits' background is black.
    return functional.grid_sample(channels_first, grid, align_corners=False).permute(0, 2, 3, 1)


def uniform(count: int, largest: float) -> Tensor:
    """`count` samples of the uniform distribution from -`largest` to `largest`."""
    return (2 * torch.rand(count) - 1) * largest


def count_correct(model: nn.Module, images: Tensor, labels: Tensor) -> int:
    """How many of uint8 `images` (N, 32, 32, 3) the model assigns to their label."""
    model.eval()
    with torch.no_grad():
        predictions = model(digits.normalize_digits(images)).argmax(dim=1)
    return int((predictions == labels).sum())


if __name__ == "__main__":
    main()
