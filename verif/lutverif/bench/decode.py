"""Bench of `Decode` and `ScaleDecode`: codes of every format, against `lutcore.numbers`."""

from __future__ import annotations

import math
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

from lutcore.formats import PowerFormat
from lutcore.numbers import decode

from .runner import configuration

MOST = 1 << 16  # codes of a format, all of them but for FP32


@cocotb.test()
async def every_code(dut: Any) -> None:
    """Every code (of FP32: random ones, every field), with noise above narrow formats."""
    config, rng = configuration(), np.random.default_rng(15)
    scales = dut._name.endswith("scale_decode")
    formats = config.scale_formats if scales else config.formats
    width = max(fmt.significand_bits for fmt in formats)
    for index, fmt in enumerate(formats):
        dut.format.value = index
        unit = 1 - fmt.bias if isinstance(fmt, PowerFormat) else fmt.unit_exponent
        unit -= width - fmt.significand_bits
        if fmt.bits <= 16:
            codes = np.arange(1 << fmt.bits)
        else:
            low = fmt.bits - 16
            codes = np.arange(MOST) << low | rng.choice([0, 1, (1 << low) - 1], MOST)
        values = decode(codes, fmt)
        noise = rng.integers(1 << 32, size=codes.shape) << fmt.bits
        words = (codes | noise) & ((1 << len(dut.code)) - 1)
        for word, value in zip(words.tolist(), values.tolist(), strict=True):
            dut.code.value = word
            await Timer(1, "ns")
            assert int(dut.special.value) == (not math.isfinite(value)), (fmt.name, hex(word))
            if not math.isfinite(value):
                continue
            field, significand = int(dut.field.value), int(dut.significand.value)
            magnitude = math.ldexp(significand, unit + field - 1)
            got = -magnitude if int(dut.sign.value) else magnitude
            assert got == value, (fmt.name, hex(word), got, value)
            normal = significand >> (width - 1) == 1
            assert normal or field == 1, (fmt.name, hex(word), field, hex(significand))
