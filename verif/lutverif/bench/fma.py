"""Bench of `Fma`, the only rounder, against `golden.fma`: every corner, with random operands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import cocotb
import numpy as np
from cocotb.triggers import Timer
from numpy.typing import NDArray

from lutcore import TensorCoreConfig
from lutcore.formats import FP32, FloatFormat, IntegerFormat
from lutverif import golden

from .runner import configuration

ADDEND_DELAY, RESULT_DELAY = 2, 3  # enabled cycles after a difference
INFINITY, NAN = FP32.special_field << FP32.fraction_bits, FP32.quiet_nan


class Operands(NamedTuple):
    """Arrays of one length: difference, exponent; scale and acc as FP32 codes; flags."""

    difference: NDArray[np.int64]
    scale: NDArray[np.uint32]
    exponent: NDArray[np.int64]
    acc: NDArray[np.uint32]
    nonfinite: NDArray[np.bool_]
    raw: NDArray[np.bool_]


def _expected(o: Operands) -> NDArray[np.uint32]:
    """Codes of the results, as `golden.rescale` uses `golden.fma`."""
    scaled = golden.fma(
        o.acc.view(np.float32), o.difference, o.scale.view(np.float32), o.exponent
    ).view(np.uint32)
    scaled = np.where(o.nonfinite, np.uint32(NAN), scaled)
    return np.where(o.raw, (o.acc + o.difference).astype(np.uint32), scaled)


class _Corners:
    """Batches of operands for one configuration."""

    def __init__(self, config: TensorCoreConfig, size: int) -> None:
        self.rng = np.random.default_rng(15)
        self.size = size
        self.limit = (1 << (config.difference_bits - 1)) - 1
        floats = [fmt for fmt in config.formats if isinstance(fmt, FloatFormat)]
        self.integers = any(isinstance(fmt, IntegerFormat) for fmt in config.formats)
        self.exponents = np.array([0])
        if floats:
            first = config.step_offset(floats[0]) + 1
            largest = floats[0].special_field + config.group_bits
            self.exponents = np.arange(first, config.step_offset(floats[0]) + largest)

    def _codes(self, low: int, high: int) -> NDArray[np.uint32]:
        """FP32 codes of either sign with exponent fields low to high, some fractions sparse."""
        fields = self.rng.integers(low, high + 1, self.size, dtype=np.uint32)
        fraction = self.rng.integers(1 << 23, size=self.size, dtype=np.uint32)
        sparse = self.rng.integers(3, size=self.size)
        fraction = np.where(sparse == 1, 0, np.where(sparse == 2, (1 << 23) - 1, fraction))
        sign = self.rng.integers(2, size=self.size, dtype=np.uint32) << 31
        return (sign | fields << 23 | fraction).astype(np.uint32)

    def _differences(self) -> NDArray[np.int64]:
        """Of any length in bits, dense or next to a power of two."""
        length = self.rng.integers(1, self.limit.bit_length() + 1, self.size)
        top = np.left_shift(np.int64(1), length)
        near = top + self.rng.integers(-2, 3, self.size)
        dense = self.rng.integers(top)
        values = np.minimum(np.where(self.rng.random(self.size) < 0.4, near, dense), self.limit)
        return np.where(self.rng.random(self.size) < 0.5, values, -values)

    def batch(self, scale: tuple[int, int] = (1, 254), acc: tuple[int, int] = (0, 254)) -> Operands:
        """Random operands with exponent fields of scale and acc in the given ranges."""
        none = np.zeros(self.size, np.bool_)
        exponent = self.rng.choice(self.exponents, self.size)
        return Operands(
            self._differences(), self._codes(*scale), exponent, self._codes(*acc), none, none
        )

    def __iter__(self) -> Iterator[tuple[str, Operands]]:
        """Named batches: every corner that the specification has."""
        zero = np.zeros(self.size, np.uint32)
        base = self.batch((110, 140), (90, 170))
        yield "near each other", base
        yield "any exponents", self.batch()
        yield "addend far above", self.batch((1, 60), (200, 254))
        yield "addend far below", self.batch((200, 254), (0, 60))
        yield "zero addend", base._replace(acc=zero)
        yield "zero addend, any scale", self.batch()._replace(acc=zero)
        yield "negative zero addend", base._replace(acc=zero | np.uint32(1 << 31))
        nothing = np.where(self.rng.random(self.size) < 0.5, 0, base.difference)
        flushed = np.where(nothing == 0, base.scale, base.scale & np.uint32(1 << 31))
        yield "zero product", self.batch()._replace(difference=nothing, scale=flushed)
        yield "subnormal results", self.batch((1, 20), (0, 2))
        yield "overflow", self.batch((225, 254), (240, 254))
        extreme = self.rng.choice([-self.limit, self.limit], self.size)
        yield "largest differences", self.batch((90, 160), (90, 200))._replace(difference=extreme)
        yield "cancellation", self._cancelling(base)
        yield "cancellation in subnormals", self._cancelling(self.batch((1, 30)))
        yield "ties", self._ties()
        special = np.array([INFINITY, INFINITY | 1 << 31, NAN, NAN | 1, INFINITY | 1], np.uint32)
        chosen = self.rng.choice(special, self.size)
        yield "infinite and NaN addends", self.batch()._replace(acc=chosen)
        if len(self.exponents) > 1:
            flags = self.rng.random(self.size) < 0.5
            yield "nonfinite rows", base._replace(nonfinite=flags)
            yield "nonfinite rows on specials", base._replace(nonfinite=flags, acc=chosen)
        if self.integers:
            any_bits = self.rng.integers(1 << 32, size=self.size, dtype=np.uint32)
            raw = self.rng.random(self.size) < 0.7
            yield (
                "raw",
                self.batch()._replace(
                    acc=np.where(raw, any_bits, base.acc), raw=raw, exponent=base.exponent * 0
                ),
            )

    def _cancelling(self, base: Operands) -> Operands:
        """The addend is the rounded product negated, or some units in the last place from it."""
        product = _expected(base._replace(acc=np.zeros(self.size, np.uint32)))
        steps = self.rng.integers(-2, 3, self.size)
        moved = np.clip((product & 0x7FFFFFFF) + steps, 0, INFINITY - 1)
        sign = (~product & np.uint32(1 << 31)).astype(np.int64)
        return base._replace(acc=(moved | sign).astype(np.uint32))

    def _ties(self) -> Operands:
        """The product is an odd number of half units of the addend, or just beside that."""
        base = self.batch((110, 140), (60, 200))
        difference = 2 * self.rng.integers(-3, 3, self.size) + 1
        beside = self.rng.integers(-1, 2, self.size)
        spread = 1 << self.rng.integers(2, max(3, self.limit.bit_length() - 5), self.size)
        beside_only = np.where(beside == 0, 1, spread)
        # A power-of-two scale: the product's lowest bit has exponent field + exponent - 128.
        scale_field = base.scale >> np.uint32(23) & np.uint32(0xFF)
        half_unit = scale_field.astype(np.int64) + base.exponent + np.int64(23)
        shift = np.where(beside == 0, 0, np.log2(spread).astype(np.int64))
        field = np.clip(half_unit + shift, 1, 254).astype(np.uint32)
        acc = base.acc & np.uint32(0x807FFFFF) | field << np.uint32(23)
        return base._replace(
            difference=difference * beside_only + beside,
            scale=base.scale & np.uint32(0xFF800000),
            acc=acc,
        )


async def _run(dut: Any, name: str, operands: Operands, stalls: float) -> None:
    rng = np.random.default_rng(16)
    want = _expected(operands).tolist()
    count = len(want)
    mask = (1 << len(dut.difference)) - 1
    exponent_mask = (1 << len(dut.exponent)) - 1
    rows = list(zip(*(field.tolist() for field in operands), strict=True))
    cycle = 0
    while cycle < count + RESULT_DELAY:
        enabled = rng.random() >= stalls
        dut.enable.value = int(enabled)
        if cycle < count:
            difference, scale, exponent, _, nonfinite, raw = rows[cycle]
            dut.difference.value = difference & mask
            dut.scale.value = scale
            dut.exponent.value = exponent & exponent_mask
            dut.nonfinite.value, dut.raw.value = int(nonfinite), int(raw)
        if 0 <= cycle - ADDEND_DELAY < count:
            dut.addend.value = rows[cycle - ADDEND_DELAY][3]
        await Timer(5, "ns")
        if cycle >= RESULT_DELAY:
            index = cycle - RESULT_DELAY
            got = int(dut.result.value)
            if got != want[index]:
                fields = zip(Operands._fields, rows[index], strict=True)
                shown = ", ".join(f"{key} {value:#x}" for key, value in fields)
                raise AssertionError(f"{name}: {got:#010x}, not {want[index]:#010x}, of {shown}")
        dut.clk.value = 1
        await Timer(5, "ns")
        dut.clk.value = 0
        cycle += enabled


@cocotb.test()
async def corners(dut: Any) -> None:
    """Every named corner, one set of operands a cycle."""
    dut.rst.value = 0
    for name, operands in _Corners(configuration(), 700):
        await _run(dut, name, operands, 0.0)


@cocotb.test()
async def stalled(dut: Any) -> None:
    """Stages hold while `enable` is 0."""
    dut.rst.value = 0
    corners = _Corners(configuration(), 300)
    await _run(dut, "stalled", corners.batch((110, 140), (90, 170)), 0.5)
