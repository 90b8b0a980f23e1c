"""timm is imported, whatever torchvision is installed."""

from __future__ import annotations

import sys

import pytest
import torch

from fullint.capture import torchvision_compat
from fullint.capture.torchvision_compat import import_timm
from fullint.errors import FullintError


def test_timm_and_its_transforms_import() -> None:
    timm = import_timm()
    assert timm is import_timm() is sys.modules["timm"]
    assert timm.data.create_transform(224) is not None


def test_operators_are_declared_at_most_once() -> None:
    import_timm()
    import_timm()
    assert len(torchvision_compat._declarations) <= 1
    assert hasattr(torch.ops.torchvision, "nms")


def test_other_failures_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(torchvision_compat.importlib, "import_module", fail)
    with pytest.raises(RuntimeError, match="something else"):
        import_timm()


def test_without_timm_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(torchvision_compat.importlib, "import_module", missing)
    with pytest.raises(FullintError, match=r"pip install 'fullint\[quantize\]'"):
        import_timm()
