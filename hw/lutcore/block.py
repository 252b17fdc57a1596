"""What the activations of a block go through one by one: the block's scale, and alignment to it.

    lookup groups -> peak -> exponent E -> align

Source: docs/specification.md, "Activations and tables".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from operator import add
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .formats import FloatFormat, IntegerFormat
from .unit import Unit, balanced

__all__ = ["Align", "BlockExponent", "Peak", "field_bits", "format_cases", "peak_bits"]


class BlockExponent:
    """How the exponent field E of a block follows from its peak, as constants.

    A peak is coded like a float of `fraction_bits` + ceil(log2 g) fraction bits, exponent field
    above fraction, and E = max(1, (code + carry) >> fraction bits): one small adder. `carry` makes
    the significands that do not fit spill into the next exponent.
    """

    def __init__(self, config: TensorCoreConfig, fmt: FloatFormat) -> None:
        self.fraction_bits = fmt.fraction_bits + config.group_bits
        # An activation is significand * 2^(left - (E - e)) guard units.
        self.left = config.guard - fmt.bias - fmt.fraction_bits - config.step_offset(fmt)
        hidden = 1 << self.fraction_bits
        unit = Fraction(2) ** (self.left - config.group_bits + 1)
        fitting = math.ceil(config.doubled_peak_limit / unit)  # significands below it fit at E = e
        assert hidden < fitting, "E would be one more than any peak's exponent"
        self.carry = max(0, 2 * hidden - fitting)

    def field(self, code: Value) -> Value:
        """E of a peak's code."""
        field = (code + self.carry) >> self.fraction_bits
        return Mux(field.any(), field, 1)


def field_bits(config: TensorCoreConfig) -> int:
    """Bits of the largest E of any float format built in."""
    largest = [
        fmt.special_field + config.group_bits
        for fmt in config.formats
        if isinstance(fmt, FloatFormat)
    ]
    return max(largest, default=1).bit_length()


def peak_bits(config: TensorCoreConfig) -> int:
    """Bits of a peak's code; all ones stands for a block with an infinity or NaN."""
    fractions = [
        fmt.fraction_bits + config.group_bits
        for fmt in config.formats
        if isinstance(fmt, FloatFormat)
    ]
    return field_bits(config) + max(fractions, default=0)


def format_cases(
    m: Module, config: TensorCoreConfig
) -> Iterator[tuple[AbstractContextManager[None], FloatFormat | IntegerFormat]]:
    """A case of a switch on the format index for every format; the last one takes the rest."""
    *others, last = config.formats
    for index, fmt in enumerate(others):
        yield m.Case(index), fmt
    yield m.Default(), last


class Peak(Unit):
    """The peak of one lookup group, as a code that orders like the peak itself. Combinational.

    values: g activation codes; format: their place in `config.activations`; peak: exponent field
    above fraction; all ones if one of the values is an infinity or NaN; 0 for integers.
    """

    suffix = "peak"
    clocked = False

    def ports(self) -> dict[str, Any]:
        c = self.config
        return {
            "values": In(data.ArrayLayout(c.activation_bits, c.lookup_group)),
            "format": In(self.layouts.passes["format"].shape),
            "peak": Out(unsigned(peak_bits(c))),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.Switch(self.format):
            for case, fmt in format_cases(m, self.config):
                with case:
                    if isinstance(fmt, FloatFormat):
                        self._float_peak(m, fmt)
        return m

    def _float_peak(self, m: Module, fmt: FloatFormat) -> None:
        group_bits = self.config.group_bits
        exponents: list[Value] = []
        significands: list[Value] = []
        special: list[Value] = []
        for value in self.values:
            own = value[fmt.fraction_bits : fmt.bits - 1]
            exponents.append(Mux(own.any(), own, 1))
            significands.append(Cat(value[: fmt.fraction_bits], own.any()))
            special.append(own.all())
        largest = Signal(fmt.exponent_bits, name=f"largest_{fmt.name}")
        m.d.comb += largest.eq(balanced(exponents, lambda a, b: Mux(a > b, a, b)))
        terms: list[Value] = []
        for index, (exponent, significand) in enumerate(zip(exponents, significands, strict=True)):
            # Rounded up: what is shifted out adds one. Further than all bits away, one remains.
            distance = Signal(fmt.exponent_bits, name=f"distance_{index}_{fmt.name}")
            width = fmt.significand_bits
            wide = Signal(2 * width, name=f"wide_{index}_{fmt.name}")
            far = Mux(distance > width, width, distance)
            m.d.comb += distance.eq(largest - exponent)
            m.d.comb += wide.eq(Cat(Const(0, width), significand) >> far)
            terms.append(wide[width:] + wide[:width].any())
        total = Signal(fmt.significand_bits + group_bits, name=f"total_{fmt.name}")
        m.d.comb += total.eq(balanced(terms, add))
        fraction_bits = fmt.fraction_bits + group_bits
        code = Signal.like(self.peak, name=f"code_{fmt.name}")
        m.d.comb += code.eq(Cat(Const(0, group_bits), total))  # subnormal: field 0
        for above in range(group_bits + 1):
            with m.If(total[fmt.fraction_bits + above]):
                fraction = (total << (group_bits - above))[:fraction_bits]
                m.d.comb += code.eq(Cat(fraction, largest + above))
        m.d.comb += self.peak.eq(Mux(Cat(special).any(), ~Const(0, len(self.peak)), code))


class Align(Unit):
    """One activation to a two's complement integer in guard units (2^-guard table steps).

    Combinational. value: a code of the format; format: its place in `config.activations`;
    field: the block's E; nonfinite: the row has an infinity or NaN, which makes the result 0.
    """

    suffix = "align"
    clocked = False

    def ports(self) -> dict[str, Any]:
        return {
            "value": In(unsigned(self.config.activation_bits)),
            "format": In(self.layouts.passes["format"].shape),
            "field": In(unsigned(field_bits(self.config))),
            "nonfinite": In(1),
            "aligned": Out(signed(self.config.aligned_bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.Switch(self.format):
            for case, fmt in format_cases(m, self.config):
                with case:
                    if isinstance(fmt, IntegerFormat):
                        m.d.comb += self.aligned.eq(
                            self.value[: fmt.bits].as_signed() << self.config.guard
                        )
                    else:
                        self._align_float(m, fmt)
        return m

    def _align_float(self, m: Module, fmt: FloatFormat) -> None:
        block = BlockExponent(self.config, fmt)
        fraction = self.value[: fmt.fraction_bits]
        own = self.value[fmt.fraction_bits : fmt.bits - 1]
        significand = Cat(fraction, own.any())
        # A right shift by E - e - left; where that can be negative, the significand starts higher.
        headroom = max(0, block.left)
        width = fmt.significand_bits + headroom
        shift = Signal(signed(len(self.field) + 7))
        m.d.comb += shift.eq(self.field - Mux(own.any(), own, 1) + (headroom - block.left))
        # Beyond width + 1 the value is below a half and rounds to zero all the same.
        amount = Signal(range(width + 2))
        m.d.comb += amount.eq(Mux(shift > width + 1, width + 1, shift))
        wide = Signal(2 * width)
        m.d.comb += wide.eq(Cat(Const(0, width + headroom), significand) >> amount)
        floor, half, rest = wide[width:], wide[width - 1], wide[: width - 1].any()
        magnitude = Signal(width + 1)
        m.d.comb += magnitude.eq(floor + (half & (rest | floor[0])))
        with m.If(~self.nonfinite):
            m.d.comb += self.aligned.eq(Mux(self.value[fmt.bits - 1], -magnitude, magnitude))
