"""Bench of `Lane`: selection, negation and accumulation, against `golden.lookup`."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

from lutverif import golden

from .payloads import join
from .runner import configuration


@cocotb.test()
async def random_and_extreme_sums(dut: Any) -> None:
    """Any entries and codes, with idle cycles between; the extremes fill the accumulator."""
    config, rng = configuration(), np.random.default_rng(8)
    size, steps = config.groups_per_step, config.block // config.k
    limit = 1 << (config.table_bits - 1)
    dut.rst.value = 0

    async def clock(enable: bool, clear: bool, shift: bool) -> None:
        dut.enable.value, dut.clear.value, dut.shift.value = int(enable), int(clear), int(shift)
        await Timer(5, "ns")
        dut.clk.value = 1
        await Timer(5, "ns")
        dut.clk.value = 0

    for trial in range(80):
        equal = bool(trial & 1) and config.weight_bits > 1
        planes = 2 if equal else int(rng.integers(1, config.weight_bits + 1))
        entries = rng.integers(-limit, limit, (1, steps * size, config.entries))
        codes = rng.integers(1 << config.lookup_group, size=(planes, 1, steps * size))
        if trial < 8:  # every entry and every negation alike
            planes = 2 if equal else config.weight_bits
            entries[...] = (-limit, limit - 1)[trial >> 1 & 1]
            codes = np.full((planes, 1, steps * size), (trial >> 2) << (config.lookup_group - 1))
        codes = codes.astype(np.uint8)
        want = int(golden.lookup(entries, codes, equal, config)[0, 0])
        for plane in range(planes):
            for step in range(steps):
                while rng.random() < 0.2:
                    dut.codes.value = int(rng.integers(1 << min(62, len(dut.codes))))
                    await clock(False, bool(rng.integers(2)), bool(rng.integers(2)))
                groups = slice(step * size, (step + 1) * size)
                dut.tables.value = join((entries[0, groups], config.table_bits))
                dut.codes.value = join((codes[plane, 0, groups], config.lookup_group))
                await clock(True, plane == step == 0, step == 0 and not equal)
        got = dut.psum.value.to_signed()
        assert got == want, f"trial {trial}: psum is {got}, not {want}"
