"""fullint: trained vision transformers in integers only, from uint8 pixels to integer logits.

    model = fullint.quantize(fullint.load_timm_model("deit_tiny_patch16_224"), "images/")
    model.save("out/")
    logits = fullint.load("out/")(uint8_batch)

Names are imported when they are first used: loading and running a saved model imports numpy and
safetensors, not torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fullint.errors import FullintError

if TYPE_CHECKING:
    from fullint.data.preprocessing import Preprocessing as Preprocessing
    from fullint.integer.model import IntegerModel as IntegerModel
    from fullint.integer.model import load_model as load  # noqa: F401
    from fullint.pipeline import quantize as quantize
    from fullint.recipes import Recipe as Recipe
    from fullint.recipes import list_recipes as list_recipes
    from fullint.sources import load_timm_model as load_timm_model
    from fullint.version import __version__ as __version__

_LAZY = {
    "__version__": ("fullint.version", "__version__"),
    "IntegerModel": ("fullint.integer.model", "IntegerModel"),
    "Preprocessing": ("fullint.data.preprocessing", "Preprocessing"),
    "Recipe": ("fullint.recipes", "Recipe"),
    "list_recipes": ("fullint.recipes", "list_recipes"),
    "load": ("fullint.integer.model", "load_model"),
    "load_timm_model": ("fullint.sources", "load_timm_model"),
    "quantize": ("fullint.pipeline", "quantize"),
}
_NEEDS_EXTRA = {"torch", "torchvision", "timm", "pydantic", "yaml"}

__all__ = ["FullintError", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'fullint' has no attribute '{name}'")
    module, attribute = _LAZY[name]
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name not in _NEEDS_EXTRA:
            raise
        raise FullintError(
            f"fullint.{name} needs {error.name}, which is not installed here; "
            "run: pip install 'fullint[quantize]'"
        ) from error
