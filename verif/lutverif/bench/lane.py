"""Bench of `Lane`: selection, negation and accumulation, against `golden.lookup`."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

from lutverif import golden

from .payloads import Payloads, join
from .runner import configuration
from .selections import selections


def _mask(signal: Any) -> int:
    return (1 << len(signal)) - 1


@cocotb.test()
async def random_and_extreme_sums(dut: Any) -> None:
    """Any entries and digits, with idle cycles between; the extremes fill the accumulator."""
    config, rng = configuration(), np.random.default_rng(8)
    size, steps, k = config.groups_per_step, config.block // config.k, config.k
    lowest, highest = config.entry_range[0], config.entry_range[-1]
    values = np.array([-1, 1] if config.table_digits == 2 else [-1, 0, 1], np.int8)
    payloads = Payloads(config)
    dut.rst.value = 0

    async def clock(keep: bool, shift: bool, enable: bool = True) -> None:
        dut.keep.value, dut.shift.value = int(keep), int(shift)
        if config.lane_enable:
            dut.enable.value = int(enable)
        await Timer(5, "ns")
        dut.clk.value = 1
        await Timer(5, "ns")
        dut.clk.value = 0

    for trial in range(80):
        equal = bool(trial & 1) and config.weight_bits > 1
        planes = 2 if equal else int(rng.integers(1, config.weight_bits + 1))
        entries = rng.integers(lowest, highest + 1, (1, steps * size, config.entries))
        odd = rng.integers(2, size=(1, steps * size)) * config.parity
        digits = rng.choice(values, (planes, 1, steps * k))
        if trial < 8:  # every entry and every negation alike
            planes = 2 if equal else config.weight_bits
            entries[...] = (lowest, highest)[trial >> 1 & 1]
            digits = np.full((planes, 1, steps * k), (1, -1)[trial >> 2], np.int8)
        tables = golden.Tables(entries, odd)
        want = int(golden.lookup(tables, digits, equal, config).psum[0, 0])
        for plane in range(planes):
            for step in range(steps):
                while rng.random() < 0.2:
                    if config.lane_enable:
                        dut.selections.value = int(rng.integers(1 << 30)) & _mask(dut.selections)
                        await clock(bool(rng.integers(2)), bool(rng.integers(2)), False)
                    else:
                        dut.selections.value = 0
                        await clock(True, False)
                dut.tables.value = join(
                    *payloads.step_tables(tables, step * size, (step + 1) * size)
                )
                own = digits[plane, 0, step * k : (step + 1) * k]
                dut.selections.value = selections(own, config)
                double = plane > 0 and step == 0 and not equal
                await clock(not double and (plane > 0 or step > 0), double)
        got = dut.psum.value.to_signed()
        assert got == want, f"trial {trial}: psum is {got}, not {want}"
