"""Bench of `Decoder`: all combinations of digits that share codes, in every place of a step."""

from __future__ import annotations

from itertools import product
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

from lutcore.layout import lookup_codes

from .payloads import join
from .runner import configuration
from .selections import selections


@cocotb.test()
async def every_combination(dut: Any) -> None:
    """A lookup group's digits, or six ternary ones, go through all combinations; steps not taken
    select nothing, or the lanes have an enable."""
    config, rng = configuration(), np.random.default_rng(17)
    binary = config.table_digits == 2
    values, size = ((-1, 1), config.lookup_group) if binary else ((-1, 0, 1), 6)
    bits = size if binary else 5
    # Where nothing is selected, the sign is not defined.
    per_group = len(dut.selections) * config.lookup_group // config.k
    lasts = () if config.subsets else range(per_group - 1, len(dut.selections), per_group)
    signs = sum(1 << last for last in lasts)
    combinations = np.array(list(product(values, repeat=size)), np.int8)
    orders = [rng.permutation(len(combinations)) for _ in range(config.k // size)]
    for order in zip(*orders, strict=True):
        digits = combinations[list(order)].ravel()
        dut.codes.value = join((lookup_codes(digits, config), bits))
        for take in (1,) if config.lane_enable else (1, 0):
            if not config.lane_enable:
                dut.take.value = take
            await Timer(1, "ns")
            got, want = int(dut.selections.value), selections(digits, config)
            if not take:
                want = got & signs
            assert got == want, f"{digits.tolist()}: {got:#x}, not {want:#x}"
