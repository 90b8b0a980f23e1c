"""Fixtures and settings of the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

# Tests run in several processes; more threads in each only stand in each other's way. Read when
# torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
from hypothesis import settings

# Examples must not fail for a slow machine; the same ones run every time in continuous integration.
settings.register_profile("fullint", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("fullint")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real weights and images; the test is skipped where it is absent."""
    beside_the_project = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FULLINT_DATA", beside_the_project))
    if not (folder / "weights").is_dir():
        pytest.skip(f"no real weights and images in {folder}; set FULLINT_DATA to their folder")
    return folder
