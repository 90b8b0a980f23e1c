"""Import timm also where the installed torchvision does not fit the installed torch.

timm imports torchvision for its transforms. Where torchvision was built for CUDA and torch is the
CPU build (what plain `pip install torchvision` gives on many machines), torchvision's C++ operators
do not load, and its Python code then fails with "operator torchvision::nms does not exist" while it
describes them to torch. fullint calls none of these operators: declaring their schemas is enough to
let the import pass. Everything in fullint that needs timm asks `import_timm`.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from torch.library import Library

from fullint.errors import FullintError

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# torch forgets the declarations when their Library is garbage collected.
_declarations: list[Library] = []


def import_timm() -> Any:
    """Return the `timm` module; declares torchvision's missing operators if, and only if, the plain
    import needs them.

    Raises FullintError where timm is not installed.
    """
    try:
        return _import("timm")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    _forget_half_imported("torchvision", "timm")
    _declare_operators()
    return _import("timm")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise FullintError(
            f"{name} is not installed here, and capturing a model needs it; "
            "run: pip install 'fullint[quantize]'"
        ) from error


def _declare_operators() -> None:
    library = Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _declarations.append(library)


def _forget_half_imported(*packages: str) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in packages:
            del sys.modules[name]
