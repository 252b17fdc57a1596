"""Bench of `Align`: one activation to guard units, against `golden.precompute`."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

from lutcore.formats import FP16, INT8, FloatFormat
from lutverif import golden

from . import stimulus
from .runner import configuration

FORMATS = {1: INT8, 2: FP16}  # by bytes


async def _check(dut: Any, rows: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    config = configuration()
    fmt = FORMATS[rows.dtype.itemsize]
    want = golden.precompute(rows, fmt, config)
    codes = rows.view(np.uint16 if fmt.bits == 16 else np.uint8)
    mask = (1 << config.aligned_bits) - 1
    dut.format.value = config.activations.index(fmt.name)
    for row in range(len(rows)):
        nonfinite = bool(want.nonfinite[row])
        if isinstance(fmt, FloatFormat) and not nonfinite:
            field = int(want.exponent[row]) - config.step_offset(fmt)
        else:
            field = int(rng.integers(1 << len(dut.field)))
        dut.field.value = field
        dut.nonfinite.value = int(nonfinite)
        for code, aligned in zip(codes[row].tolist(), want.aligned[row].tolist(), strict=False):
            noise = int(rng.integers(1 << 16)) << fmt.bits
            dut.value.value = (code | noise) & ((1 << config.activation_bits) - 1)
            await Timer(1, "ns")
            got = int(dut.aligned.value)
            assert got == aligned & mask, (
                f"{fmt.name} {code:#x}, field {field}: {got:#x}, not {aligned & mask:#x}"
            )


@cocotb.test()
async def every_code(dut: Any) -> None:
    """Every code of every format, with others of about its size."""
    config = configuration()
    rng = np.random.default_rng(1)
    for fmt in config.formats:
        if isinstance(fmt, FloatFormat):
            magnitudes = np.arange(fmt.special_field << fmt.fraction_bits, dtype=np.uint16)
            signs = rng.integers(2, size=magnitudes.shape).astype(np.uint16) << (fmt.bits - 1)
            codes = (magnitudes | signs).view(np.float16)
        else:
            codes = np.arange(1 << fmt.bits, dtype=np.uint8).view(np.int8)
        length = 4 * config.lookup_group
        rows = np.resize(codes, (-(-len(codes) // length), length))
        await _check(dut, rows, rng)


@cocotb.test()
async def any_block(dut: Any) -> None:
    """Blocks of every kind: ties, far below the peak, subnormal, nonfinite."""
    config = configuration()
    rng = np.random.default_rng(2)
    for fmt in config.formats:
        await _check(dut, stimulus.activations(rng, fmt, 600, config.k), rng)
