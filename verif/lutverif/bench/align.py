"""Bench of `Align`: one activation to units of the block, against `golden.precompute`."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer
from numpy.typing import NDArray

from lutcore.formats import FloatFormat, IntegerFormat
from lutcore.numbers import encode
from lutverif import golden

from . import stimulus
from .runner import configuration


async def _registered(dut: Any, rng: np.random.Generator) -> None:
    """Takes the value into the register, which then keeps it under noise without `enable`."""
    for enable in (1, 0):
        dut.enable.value = enable
        dut.clk.value = 1
        await Timer(1, "ns")
        dut.clk.value = 0
        await Timer(1, "ns")
        dut.value.value = int(rng.integers(1 << len(dut.value)))


async def _check(
    dut: Any,
    rows: NDArray[Any],
    fmt: FloatFormat | IntegerFormat,
    rng: np.random.Generator,
) -> None:
    config = configuration()
    want = golden.precompute(rows, fmt, config)
    codes = encode(rows, fmt).astype(np.int64)
    codes |= rng.integers(1 << 16, size=codes.shape) << fmt.bits
    codes &= (1 << config.activation_bits) - 1
    mask = (1 << config.aligned_bits) - 1
    # A significand of field 1 counts in units of q, or less where it is padded. It is shifted right
    # from where it stands, or from as many bits up as make all bits of a sum reachable.
    width = config.significand_bits
    unit = fmt.unit_exponent - (width - fmt.significand_bits)
    headroom = max(0, config.total_bits - 1 - width)
    dut.format.value = config.activations.index(fmt.name)
    for row in range(len(rows)):
        nonfinite = bool(want.nonfinite[row])
        shift = int(want.exponent[row]) - unit + headroom
        dut.shift.value = int(rng.integers(1 << len(dut.shift))) if nonfinite else shift
        dut.nonfinite.value = int(nonfinite)
        for code, aligned in zip(codes[row].tolist(), want.aligned[row].tolist(), strict=False):
            dut.value.value = code
            await Timer(1, "ns")
            if config.pipeline:
                await _registered(dut, rng)
            got = int(dut.aligned.value)
            assert got == aligned & mask, (
                f"{fmt.name} {code:#x}, shift {shift}: {got:#x}, not {aligned & mask:#x}"
            )


@cocotb.test()
async def every_code(dut: Any) -> None:
    """Every finite code of every format, with others of about its size."""
    config = configuration()
    rng = np.random.default_rng(1)
    for fmt in config.formats:
        if isinstance(fmt, FloatFormat):
            codes = np.arange(stimulus.largest_code(fmt) + 1)
            codes |= rng.integers(2, size=codes.shape) << (fmt.bits - 1)
        else:
            codes = np.arange(1 << fmt.bits)
        length = 4 * config.lookup_group
        rows = np.resize(codes, (-(-len(codes) // length), length))
        await _check(dut, stimulus.values(rows, fmt), fmt, rng)


@cocotb.test()
async def any_block(dut: Any) -> None:
    """Blocks of every kind: ties, far below the peak, subnormal, nonfinite."""
    config = configuration()
    rng = np.random.default_rng(2)
    for fmt in config.formats:
        rows = stimulus.activations(rng, fmt, 600, config.k)
        await _check(dut, rows, fmt, rng)
