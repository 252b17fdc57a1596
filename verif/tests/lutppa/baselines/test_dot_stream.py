"""The fused dot product as RTL, against its golden model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.formats import FP16
from lutppa.baselines.dot_stream import simulate
from lutppa.baselines.golden_mac import fused_dot
from lutppa.baselines.mac_config import MacConfig


def _operands(rng: np.random.Generator, rows: int) -> tuple[NDArray[Any], ...]:
    """Codes of neighbouring exponents and of every kind, and accumulators likewise."""
    near = rng.standard_normal((2, rows, 6)).astype(np.float16).view(np.uint16)
    a, b = np.where(rng.random(near.shape) < 0.05, rng.integers(1 << 16, size=near.shape), near)
    c = rng.standard_normal(rows).astype(np.float32).view(np.uint32)
    return a, b, np.where(rng.random(rows) < 0.2, rng.integers(1 << 32, size=rows), c)


def test_rtl_equals_golden(rng: np.random.Generator) -> None:
    config = MacConfig(operand="fp16", k=2, fraction_bits=24, stages=1)
    a, b, c = _operands(rng, 3000)
    want = fused_dot(a, b, c, FP16, config.numerics)
    assert (simulate(a, b, c, config) == want).all()
