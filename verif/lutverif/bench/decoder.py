"""Bench of `Decoder`: all combinations of six ternary digits, in every place of a step."""

from __future__ import annotations

from itertools import product
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

from lutcore.layout import fold_ternary

from .payloads import join
from .runner import configuration
from .ternary import selections


@cocotb.test()
async def every_combination(dut: Any) -> None:
    """Each six digits of a step go through all 729 combinations."""
    rng = np.random.default_rng(17)
    count = configuration().k // 6
    combinations = np.array(list(product((-1, 0, 1), repeat=6)), np.int8)
    orders = [rng.permutation(len(combinations)) for _ in range(count)]
    for order in zip(*orders, strict=True):
        digits = combinations[list(order)]
        dut.codes.value = join((fold_ternary(digits), 5))
        await Timer(1, "ns")
        got, want = int(dut.selections.value), selections(digits.ravel())
        assert got == want, f"{digits.tolist()}: {got:#x}, not {want:#x}"
