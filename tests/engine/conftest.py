"""The whole folder needs the compiled engine."""

from __future__ import annotations

import pytest

from fullint import engine


@pytest.fixture(scope="session", autouse=True)
def compiled_engine() -> None:
    if not engine.available():
        pytest.skip("the native engine is not built; install fullint with a C++ compiler present")
