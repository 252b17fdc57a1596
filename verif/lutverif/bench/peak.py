"""Bench of `Peak`: the peak of a lookup group, against exact rationals of the specification."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

from lutcore import TensorCoreConfig
from lutcore.formats import FloatFormat

from . import stimulus
from .payloads import join
from .runner import configuration


def _peak(codes: list[int], fmt: FloatFormat) -> Fraction | None:
    """Sum of the magnitudes, each rounded up to the last place of the largest; None: nonfinite."""
    fields = [code >> fmt.fraction_bits & fmt.special_field for code in codes]
    if fmt.special_field in fields:
        return None
    low = (1 << fmt.fraction_bits) - 1
    unit = 1 - fmt.bias - fmt.fraction_bits
    values = [
        ((code & low) + (low + 1 if field else 0)) * Fraction(2) ** (max(field, 1) - 1 + unit)
        for code, field in zip(codes, fields, strict=True)
    ]
    last_place = Fraction(2) ** (max(1, *fields) - 1 + unit)
    return sum((-(-value // last_place) * last_place for value in values), Fraction(0))


def _decoded(code: int, fmt: FloatFormat, config: TensorCoreConfig) -> Fraction:
    """What a peak's code stands for: a float of ceil(log2 g) more fraction bits."""
    bits = fmt.fraction_bits + config.group_bits
    field, fraction = code >> bits, code & ((1 << bits) - 1)
    significand = fraction + ((1 << bits) if field else 0)
    return significand * Fraction(2) ** (max(field, 1) - fmt.bias - bits)


@cocotb.test()
async def groups_of_every_kind(dut: Any) -> None:
    """Random and extreme groups of every format; integers have no peak."""
    config = configuration()
    rng = np.random.default_rng(3)
    for fmt in config.formats:
        dut.format.value = config.activations.index(fmt.name)
        rows = stimulus.activations(rng, fmt, 4000, config.lookup_group)
        codes = rows.view(np.uint16 if fmt.bits == 16 else np.uint8)
        for group in codes.tolist():
            dut.values.value = join((group, config.activation_bits))
            await Timer(1, "ns")
            got = int(dut.peak.value)
            if isinstance(fmt, FloatFormat):
                want = _peak(group, fmt)
                ones = (1 << len(dut.peak)) - 1
                same = got == ones if want is None else _decoded(got, fmt, config) == want
                assert same and (got == ones) == (want is None), (group, hex(got), want)
            else:
                assert got == 0, (group, hex(got))
