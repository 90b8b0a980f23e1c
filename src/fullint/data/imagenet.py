"""ImageNet's classes, from the tables that come with timm (imported only when asked for)."""

from __future__ import annotations

from functools import cache

from fullint.errors import FullintError


def imagenet_class_ids(num_classes: int) -> tuple[str, ...] | None:
    """WordNet ids in the order of a model's outputs, or None if no ImageNet has that many classes.

    1000 is ImageNet-1k; 11221, 11821, 21841, 21842 and 21843 are the subsets of ImageNet-21k that
    timm's models are trained on. Raises FullintError where timm is not installed.
    """
    classes = _imagenet_classes(num_classes)
    return None if classes is None else classes[0]


def imagenet_class_names(num_classes: int) -> tuple[str, ...] | None:
    """Names for people (WordNet's lemmas), in the same order as `imagenet_class_ids`."""
    classes = _imagenet_classes(num_classes)
    return None if classes is None else classes[1]


@cache
def _imagenet_classes(num_classes: int) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    try:
        from fullint.capture.torchvision_compat import import_timm
    except ModuleNotFoundError as error:  # torch is missing
        raise FullintError(
            "the classes of ImageNet come with timm, which is not installed; "
            "run: pip install 'fullint[quantize]', or give a class map"
        ) from error
    timm = import_timm()
    subset = timm.data.infer_imagenet_subset({"num_classes": num_classes})
    if subset is None:
        return None
    information = timm.data.ImageNetInfo(subset)
    return tuple(information.label_names()), tuple(information.label_descriptions())
