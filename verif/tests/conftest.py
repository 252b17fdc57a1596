"""Fixtures that every test may use."""

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed: every run of a test sees the same numbers."""
    return np.random.default_rng(20250601)


@pytest.fixture
def measuring_data() -> Path:
    """The directory of measuring data, from LUTCORE_DATA; the test is skipped without it."""
    directory = os.environ.get("LUTCORE_DATA")
    if not directory:
        pytest.skip("LUTCORE_DATA is not set")
    return Path(directory)
