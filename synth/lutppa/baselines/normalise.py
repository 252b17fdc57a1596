"""The last steps of a fused dot product: magnitude, leading zeros, truncation, special values."""

# ruff: noqa: D102  (ports, build and elaborate keep the contract that the base class states)
from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal
from amaranth.lib.wiring import In, Out

from lutcore.formats import FP32
from lutcore.unit import leading_zeros

from .mac_config import MacUnit
from .part import Part
from .term import base_shape
from .tree import Columns

__all__ = ["Magnitude", "Normalise", "sum_bits"]


def sum_bits(k: int, addend_bits: int) -> int:
    """Bits of a sum of k aligned terms and an addend, two's complement."""
    return (k * (1 << addend_bits)).bit_length() + 1


class Magnitude(Part):
    """The magnitude of a sum, kept as two numbers and a carry, and its sign. Combinational."""

    suffix = "magnitude"

    def ports(self) -> dict[str, Any]:
        c = self.config
        bits = sum_bits(c.k, c.addend_bits)
        numbers = {"x": In(bits), "y": In(bits), "carry": In(1)}
        return {**numbers, "magnitude": Out(bits - 1), "negative": Out(1)}

    def build(self, m: Module) -> None:
        width = len(self.x)
        size = Signal(width)
        total = Cat(Const(1, 1), self.x) + Cat(self.carry, self.y)
        m.d.comb += [size.eq(total[1:]), self.negative.eq(size[-1])]
        if "s" in self.config.cuts:  # -x is ~(x - 1), which need not wait for x.
            less = Columns(m, width)
            less.add(0, self.x)
            less.add(0, self.y)
            less.add(0, self.carry)
            less.add_constant(-1)
            m.d.comb += self.magnitude.eq(Mux(self.negative, ~less.total(), size))
        else:
            inverted = size[:-1] ^ self.negative.replicate(width - 1)
            m.d.comb += self.magnitude.eq(inverted + self.negative)


class Normalise(MacUnit):
    """A sum as FP32, truncated. Combinational.

    magnitude, negative: in multiples of 2^(E - F); base: E, as a product's exponent; flat: the sum
    is a subnormal addend alone; flags: there is +infinity, -infinity, NaN; sign: what the result's
    is turned by.
    """

    suffix = "normalise"
    clocked = False

    def ports(self) -> dict[str, Any]:
        c = self.config
        return {
            "magnitude": In(sum_bits(c.k, c.addend_bits) - 1),
            "negative": In(1),
            "base": In(base_shape(c)),
            "flat": In(1),
            "flags": In(3),
            "sign": In(1),
            "result": Out(FP32.bits),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        base, flags, digits = self.base, self.flags, len(self.magnitude)
        # Subnormal results of large exponent ranges need a place above the sum to begin from.
        above = digits - 1 - c.fraction_bits  # exponent of the highest bit less E
        lowest_field = (1 if c.weights else c.lowest) + c.offset + above
        spare = max(0, 1 - lowest_field) if c.offset <= 0 else 0
        magnitude = Signal(digits + spare)
        m.d.comb += magnitude.eq(self.magnitude)
        field = Signal(Shape.cast(range(-(1 << 9), 1 << 10)))
        top = Signal(Shape.cast(range(-(1 << 9), 1 << 10)))
        m.d.comb += top.eq(base + (c.offset + above + spare))
        shifted = Signal(len(magnitude))
        if c.offset <= 0:
            marker = Const(1 << (len(magnitude) - 1), len(magnitude))
            room = Signal(len(top))
            m.d.comb += room.eq(top - 1)
            zeros = leading_zeros(magnitude | (marker >> room))
            m.d.comb += shifted.eq(magnitude << zeros)
        else:
            value, found = magnitude, []
            for place in reversed(range((len(magnitude) - 1).bit_length())):
                step, moved = 1 << place, Signal(len(magnitude), name=f"moved_{place}")
                clear = ~value[-step:].any()
                m.d.comb += moved.eq(Mux(clear, value << step, value))
                found.insert(0, clear)
                value = moved
            zeros = Cat(*found)
            m.d.comb += shifted.eq(value)
        m.d.comb += field.eq(top - zeros)
        normal = shifted[-1]
        kept = shifted[:-1]
        fraction = (
            Cat(Const(0, FP32.fraction_bits - len(kept)), kept)
            if len(kept) < FP32.fraction_bits
            else kept[-FP32.fraction_bits :]
        )
        nan = flags[2] | (flags[0] & flags[1])
        infinite = flags.any() | (normal & (field >= FP32.special_field))
        code_field = field[: FP32.exponent_bits] & normal.replicate(FP32.exponent_bits)
        some = magnitude.any() if c.offset <= 0 else normal
        if c.offset > 0:
            if c.fraction_bits < FP32.fraction_bits:  # the whole of a subnormal addend may be lost
                some = some & (~self.flat | fraction.any())
            code_field = Cat(code_field[0] & ~self.flat, code_field[1:])
        result_negative = Mux(flags.any(), flags[1], self.negative) ^ self.sign
        m.d.comb += self.result.eq(
            Cat(
                (fraction & (~infinite).replicate(len(fraction))) | nan.replicate(len(fraction)),
                code_field | infinite.replicate(FP32.exponent_bits),
                result_negative & (some | infinite) & ~nan,
            )
        )
        return m
