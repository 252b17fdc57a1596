"""Bench of `Fma`, the only rounder, against `golden.fma`: every corner, with random operands.

Sums that would round differently by way of FP32 are compared with exact rationals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import cocotb
import numpy as np
from cocotb.triggers import Timer
from numpy.typing import NDArray

from lutcore import TensorCoreConfig
from lutcore.formats import FP32, OUTPUTS, SCALES, FloatFormat, PowerFormat
from lutcore.numbers import decode, encode, rounded
from lutverif import golden

from .payloads import join
from .runner import configuration
from .stimulus import largest_code

INFINITY, NAN = FP32.infinity, FP32.quiet_nan


class Operands(NamedTuple):
    """Arrays of one length: difference; scale, a number; exponent; acc as FP32 code; flag."""

    difference: NDArray[np.int64]
    scale: NDArray[np.float32]
    exponent: NDArray[np.int64]
    acc: NDArray[np.uint32]
    nonfinite: NDArray[np.bool_]


def _expected(o: Operands, output: str | None) -> NDArray[np.int64]:
    """Codes of the results, as `golden.rescale` has them."""
    if output == "int32":
        return (o.acc + o.difference) & 0xFFFFFFFF
    fmt = OUTPUTS[output or "fp32"]
    assert isinstance(fmt, FloatFormat)
    operands = o.acc.view(np.float32), o.difference, o.scale, o.exponent
    config = configuration()
    if config.truncate:
        result = golden.truncating_fma(*operands, config)
    else:
        result = golden.fma(*operands, fmt)
    return np.where(o.nonfinite, fmt.quiet_nan, encode(result, fmt)).astype(np.int64)


def _exact(o: Operands, fmt: FloatFormat) -> NDArray[np.int64]:
    """Codes of the results of finite operands, by rationals."""
    codes: list[int] = []
    for difference, scale, exponent, acc in zip(
        o.difference.tolist(), o.scale.tolist(), o.exponent.tolist(),
        o.acc.view(np.float32).tolist(), strict=True,
    ):  # fmt: skip
        total = Fraction(acc) + difference * Fraction(scale) * Fraction(2) ** (exponent - 1)
        quotient = abs(total) / Fraction(2) ** fmt.unit_exponent
        unit = max(0, int(quotient).bit_length() - fmt.significand_bits)
        code = (unit << fmt.fraction_bits) + round(quotient / (1 << unit))
        code = min(code, fmt.infinity)
        codes.append(code | (total < 0 and code > 0) << (fmt.bits - 1))
    return np.array(codes)


class _Corners:
    """Batches of operands for one configuration."""

    def __init__(self, config: TensorCoreConfig, size: int) -> None:
        self.rng = np.random.default_rng(15)
        self.size = size
        self.config = config
        self.limit = (1 << (config.difference_bits - 1)) - 1
        bounds = [bound for fmt in config.formats for bound in config.exponent_range(fmt)]
        self.exponents = np.arange(min(bounds), max(bounds) + 1)
        self.scale = config.scale_formats[0]

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

    def _scales(self, low: int, high: int) -> NDArray[np.float32]:
        """Numbers of the scale format as near to FP32's exponent fields low to high as it has."""
        values = self._codes(low, high).view(np.float32).astype(np.float64)
        if isinstance(self.scale, PowerFormat):
            exponent = np.clip(np.frexp(values)[1] - 1, -self.scale.bias, self.scale.bias)
            return np.ldexp(1.0, exponent).astype(np.float32)
        top = decode(np.array(largest_code(self.scale)), self.scale)
        return rounded(np.clip(values, -top, top), self.scale).astype(np.float32)

    def batch(self, scale: tuple[int, int] = (0, 254), acc: tuple[int, int] = (0, 254)) -> Operands:
        """Random operands with exponent fields of scale and acc in the given ranges."""
        none = np.zeros(self.size, np.bool_)
        exponent = self.rng.choice(self.exponents, self.size)
        return Operands(
            self._differences(), self._scales(*scale), exponent, self._codes(*acc), none
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
        zeroed = np.where(nothing == 0, base.scale, np.float32(0))
        if not isinstance(self.scale, PowerFormat):
            yield "zero product", self.batch()._replace(difference=nothing, scale=zeroed)
        yield "subnormal scales", self.batch((0, 0))
        yield "subnormal scales beside the addend", self.batch((0, 0), (0, 60))
        yield "small differences", self._small()
        yield "subnormal results", self.batch((1, 20), (0, 2))
        yield "overflow", self.batch((225, 254), (240, 254))
        yield "FP16 subnormals", self.batch((60, 120), (86, 116))
        yield "FP16 overflow", self.batch((100, 140), (140, 145))
        extreme = self.rng.choice([-self.limit, self.limit], self.size)
        yield "largest differences", self.batch((90, 160), (90, 200))._replace(difference=extreme)
        yield "cancellation", self._cancelling(base)
        yield "cancellation in subnormals", self._cancelling(self.batch((1, 30)))
        yield "ties", self._ties()
        special = np.array([INFINITY, INFINITY | 1 << 31, NAN, NAN | 1, INFINITY | 1], np.uint32)
        chosen = self.rng.choice(special, self.size)
        yield "infinite and NaN addends", self.batch()._replace(acc=chosen)
        nan = np.full(self.size, np.nan, np.float32)
        spoilt = np.where(self.rng.random(self.size) < 0.5, nan, base.scale)
        yield "special scales", base._replace(scale=spoilt)
        yield "special scales on specials", base._replace(scale=spoilt, acc=chosen)
        if len(self.exponents) > 1:
            flags = self.rng.random(self.size) < 0.5
            yield "nonfinite rows", base._replace(nonfinite=flags)
            yield "nonfinite rows on specials", base._replace(nonfinite=flags, acc=chosen)

    def raw(self) -> Operands:
        """Operands of integer sums."""
        any_bits = self.rng.integers(1 << 32, size=self.size, dtype=np.uint32)
        return self.batch()._replace(acc=any_bits, exponent=np.zeros(self.size, np.int64))

    def traps(self, fmt: FloatFormat) -> Operands:
        """The addend is a tie of `fmt`, and the product too small for FP32 to see."""
        base = self.batch((1, 60))
        last = FP32.fraction_bits - fmt.fraction_bits
        field = self.rng.integers(FP32.bias - fmt.bias + 1, FP32.bias + 12, self.size)
        fraction = self.rng.integers(1 << fmt.fraction_bits, size=self.size) << last
        acc = field << FP32.fraction_bits | fraction | 1 << (last - 1)
        acc |= self.rng.integers(2, size=self.size) << 31
        return base._replace(acc=acc.astype(np.uint32))

    def _small(self) -> Operands:
        """Products of few digits far above the addend, whose digits all count."""
        base = self.batch((100, 150))
        difference = self.rng.choice([-3, -2, -1, 1, 2, 3], self.size)
        _, top = np.frexp(base.scale.astype(np.float64))
        field = top + base.exponent + FP32.bias - self.rng.integers(0, 32, self.size)
        acc = base.acc & np.uint32(0x807FFFFF)
        acc |= np.clip(field, 0, 254).astype(np.uint32) << np.uint32(23)
        return base._replace(difference=difference, acc=acc)

    def _cancelling(self, base: Operands) -> Operands:
        """The addend is the rounded product negated, or some units in the last place from it."""
        product = _expected(base._replace(acc=np.zeros(self.size, np.uint32)), None)
        steps = self.rng.integers(-2, 3, self.size)
        moved = np.clip((product & 0x7FFFFFFF) + steps, 0, INFINITY - 1)
        sign = ~product & 1 << 31
        return base._replace(acc=(moved | sign).astype(np.uint32))

    def _ties(self) -> Operands:
        """The product is an odd number of half units of the addend, or just beside that."""
        base = self.batch((110, 140), (60, 200))
        difference = 2 * self.rng.integers(-3, 3, self.size) + 1
        beside = self.rng.integers(-1, 2, self.size)
        spread = 1 << self.rng.integers(2, max(3, self.limit.bit_length() - 5), self.size)
        beside_only = np.where(beside == 0, 1, spread)
        # A power-of-two scale: the product's lowest bit has exponent field + exponent - 128.
        scale = np.ldexp(np.copysign(1.0, base.scale), np.frexp(base.scale)[1] - 1)
        scale_field = base.scale.view(np.uint32) >> np.uint32(23) & np.uint32(0xFF)
        half_unit = scale_field.astype(np.int64) + base.exponent + np.int64(23)
        shift = np.where(beside == 0, 0, np.log2(spread).astype(np.int64))
        field = np.clip(half_unit + shift, 1, 254).astype(np.uint32)
        acc = base.acc & np.uint32(0x807FFFFF) | field << np.uint32(23)
        return base._replace(
            difference=difference * beside_only + beside,
            scale=scale.astype(np.float32),
            acc=acc,
        )


def _scale_codes(scale: NDArray[np.float32], config: TensorCoreConfig, bits: int) -> list[int]:
    """Decoded scales, `bits` wide: sign, exponent, normalised significand, special."""
    digits = max(fmt.significand_bits for fmt in config.scale_formats)
    special = ~np.isfinite(scale)
    fraction, exponent = np.frexp(np.where(special, 0, scale).astype(np.float64))
    significand = np.abs(np.ldexp(fraction, digits)).astype(np.int64)
    rows = zip(np.signbit(scale), exponent + FP32.bias - 1, significand, special, strict=True)
    return [
        join((sign, 1), (field, bits - digits - 2), (number, digits), (nan, 1))
        for sign, field, number, nan in rows
    ]


async def _run(
    dut: Any,
    name: str,
    o: Operands,
    output: str | None,
    want: list[int],
    stalls: float = 0.0,
    empty: Sequence[bool] = (),
) -> None:
    """`output` None: an accumulation in FP32, while `output` is anything but int32."""
    config, rng = configuration(), np.random.default_rng(16)
    count = len(want)
    floats = [i for i, other in enumerate(config.outputs) if other != "int32"]
    scales = _scale_codes(o.scale, config, len(dut.scale))
    exponent_mask = (1 << len(dut.exponent)) - 1
    mask = (1 << len(dut.difference)) - 1
    rows = list(zip(*(field.tolist() for field in o), strict=True))
    delay, latency = config.addend_delay, config.fma_latency
    cycle = 0
    while cycle < count + latency:
        enabled = rng.random() >= stalls
        dut.enable.value = int(enabled)
        if cycle < count:
            difference, _, exponent, _, nonfinite = rows[cycle]
            dut.difference.value = difference & mask
            dut.scale.value = scales[cycle]
            dut.exponent.value = exponent & exponent_mask
            dut.nonfinite.value = int(nonfinite)
            dut.empty.value = int(cycle < len(empty) and empty[cycle])
            index = config.outputs.index(output) if output else int(rng.choice(floats))
            dut.output_format.value, dut.last.value = index, int(output is not None)
        if 0 <= cycle - delay < count:
            dut.addend.value = rows[cycle - delay][3]
        await Timer(5, "ns")
        if cycle >= latency:
            index = cycle - latency
            got = int(dut.result.value)
            if got != want[index]:
                shown = dict(zip(Operands._fields, rows[index], strict=True))
                raise AssertionError(
                    f"{name}, {output}: {got:#010x}, not {want[index]:#010x}, of {shown}"
                )
        dut.clk.value = 1
        await Timer(5, "ns")
        dut.clk.value = 0
        cycle += enabled


def _outputs(config: TensorCoreConfig) -> list[str | None]:
    """Formats of results, None for that of an accumulation."""
    return [None, *(name for name in config.outputs if name != "int32")]


@cocotb.test()
async def corners(dut: Any) -> None:
    """Every named corner in every format of scales and results, one set of operands a cycle."""
    dut.rst.value = 0
    config = configuration()
    corners = _Corners(config, 200 if len(config.scales) > 1 else 500)
    for scale in config.scales:
        corners.scale = SCALES[scale]
        for output in _outputs(config):
            for name, operands in corners:
                want = _expected(operands, output).tolist()
                await _run(dut, f"{name}, scales {scale}", operands, output, want)


@cocotb.test()
async def integer_sums(dut: Any) -> None:
    """INT32 results ignore scales."""
    config = configuration()
    dut.rst.value = 0
    if config.raw:
        operands = _Corners(config, 700).raw()
        await _run(dut, "raw", operands, "int32", _expected(operands, "int32").tolist())


@cocotb.test()
async def rounded_once(dut: Any) -> None:
    """Sums beside a tie of the output format, which FP32 would make a tie."""
    config = configuration()
    dut.rst.value = 0
    corners = _Corners(config, 500)
    for output in _outputs(config)[1:]:
        fmt = OUTPUTS[output or ""]
        assert isinstance(fmt, FloatFormat)
        if fmt is not FP32:
            operands = corners.traps(fmt)
            want = _exact(operands, fmt)
            first = _expected(operands, None).astype(np.uint32).view(np.float32)
            assert (want != encode(rounded(first, fmt), fmt)).any(), "no trap"
            await _run(dut, "trap", operands, output, want.tolist())


@cocotb.test()
async def stalled(dut: Any) -> None:
    """Stages hold while `enable` is 0."""
    dut.rst.value = 0
    operands = _Corners(configuration(), 300).batch((110, 140), (90, 170))
    await _run(dut, "stalled", operands, None, _expected(operands, None).tolist(), 0.5)


@cocotb.test()
async def empty_beats(dut: Any) -> None:
    """Addends come out as they went in, whatever the other operands are; NaN as the one NaN,
    zeros as +0."""
    dut.rst.value = 0
    config, rng = configuration(), np.random.default_rng(17)
    corners = _Corners(config, 300)
    batches = {name: operands for name, operands in corners if "special" in name or "zero" in name}
    for name, operands in batches.items():
        empty = rng.random(corners.size) < 0.5
        size = operands.acc & ~np.uint32(1 << 31)
        kept = np.where(size > INFINITY, NAN, np.where(size == 0, 0, operands.acc))
        want = np.where(empty, kept, _expected(operands, None))
        await _run(dut, name, operands, None, want.tolist(), 0.3, empty.tolist())
    if config.raw:
        operands = corners.raw()
        empty = rng.random(corners.size) < 0.5
        want = np.where(empty, operands.acc, _expected(operands, "int32"))
        await _run(dut, "raw", operands, "int32", want.tolist(), 0.3, empty.tolist())
