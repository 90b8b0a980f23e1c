"""Image folders to uint8 batches and class indices. Needs numpy and Pillow only."""

from __future__ import annotations

from fullint.data.class_maps import ClassMap, resolve_class_map
from fullint.data.folders import ImageFolder
from fullint.data.imagenet import imagenet_class_ids, imagenet_class_names
from fullint.data.loader import ImageLoader, SkippedImage
from fullint.data.preprocessing import Preprocessing

__all__ = [
    "ClassMap",
    "ImageFolder",
    "ImageLoader",
    "Preprocessing",
    "SkippedImage",
    "imagenet_class_ids",
    "imagenet_class_names",
    "resolve_class_map",
]
