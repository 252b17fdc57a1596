"""Bench of `Largest`: codes of peaks and of the steps before, alike and not."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

from lutcore.block import peak_bits

from .payloads import join
from .runner import configuration


@cocotb.test()
async def random_and_alike(dut: Any) -> None:
    """Codes over the whole range, next to each other, and equal; the largest in any place."""
    config, rng = configuration(), np.random.default_rng(4)
    bits = peak_bits(config)
    for trial in range(400):
        spread = 1 << int(rng.integers(0, bits + 1))
        base = int(rng.integers(0, (1 << bits) - spread + 1))
        values = base + rng.integers(0, spread, config.groups_per_step + 1)
        dut.peaks.value = join((values[:-1], bits))
        dut.before.value = int(values[-1])
        await Timer(1, "ns")
        got = int(dut.largest.value)
        assert got == values.max(), f"trial {trial}: {got}, not the largest of {values.tolist()}"
