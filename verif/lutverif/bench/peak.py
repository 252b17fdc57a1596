"""Bench of `Peak`: the peak of a lookup group, against exact rationals of the specification."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

from lutcore import TensorCoreConfig
from lutcore.formats import FloatFormat, IntegerFormat
from lutcore.numbers import encode

from . import stimulus
from .payloads import join
from .runner import configuration

GROUPS = 2000  # of every format


def _power(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


def _peak(values: list[float], fmt: FloatFormat | IntegerFormat) -> Fraction | None:
    """Sum of the magnitudes, each rounded up to the last place of the largest; None: nonfinite."""
    if not all(map(math.isfinite, values)):
        return None
    last_place = _power(fmt.unit_exponent)
    while max(map(abs, values)) >= last_place * (1 << fmt.significand_bits):
        last_place *= 2
    if isinstance(fmt, IntegerFormat):
        last_place = Fraction(1)
    return sum((-(-abs(Fraction(value)) // last_place) for value in values), 0) * last_place


def _decoded(code: int, fmt: FloatFormat | IntegerFormat, config: TensorCoreConfig) -> Fraction:
    """What a peak's code stands for: a float of S - 1 + ceil(log2 g) fraction bits."""
    bits = config.significand_bits - 1 + config.group_bits
    field, fraction = code >> bits, code & ((1 << bits) - 1)
    significand = fraction + ((1 << bits) if field else 0)
    # Field 1 has the last place q, in the bits that a significand of `fmt` fills.
    padding = bits - (fmt.significand_bits - 1)
    return significand * _power(max(field, 1) - 1 + fmt.unit_exponent - padding)


@cocotb.test()
async def groups_of_every_kind(dut: Any) -> None:
    """Random and extreme groups of every format; all 0 where every format is exact."""
    config = configuration()
    rng = np.random.default_rng(3)
    ones = (1 << len(dut.peak)) - 1
    needed = not all(config.exact(fmt) for fmt in config.formats)
    for fmt in config.formats:
        dut.format.value = config.activations.index(fmt.name)
        rows = stimulus.activations(rng, fmt, GROUPS, config.lookup_group)
        codes = encode(rows, fmt).astype(np.int64)
        codes |= rng.integers(1 << 16, size=codes.shape) << fmt.bits
        for group, values in zip(codes, rows.tolist(), strict=True):
            dut.values.value = join((group, config.activation_bits))
            await Timer(1, "ns")
            got, want = int(dut.peak.value), _peak(values, fmt) if needed else Fraction(0)
            same = got == ones if want is None else _decoded(got, fmt, config) == want
            assert same and (got == ones) == (want is None), (fmt.name, values, hex(got), want)
