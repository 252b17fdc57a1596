"""What the activations of a block go through one by one: the block's scale, and alignment to it.

    lookup groups -> peak -> block scale -> align

All formats go one way behind `Decode`: with S bits of significand an activation is
significand * 2^(q - padding + field - 1), padding the S - significand_bits low bits that its format
leaves 0. Only constants differ, and `Array` selects those of the pass's format.
Source: docs/specification.md, "Activations and tables".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from operator import add, or_
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .decode import Decode
from .formats import FloatFormat, IntegerFormat
from .unit import Unit, balanced

__all__ = ["Align", "BlockScale", "Largest", "Peak", "peak_bits", "shift_bits"]

_COMPARED = 4
"""Values that `Largest` compares each with each."""


def by_format(
    config: TensorCoreConfig,
    index: Value,
    constant: Callable[[FloatFormat | IntegerFormat], int],
) -> Value:
    """The constant of the format at place `index`; beyond the last it is that of the last."""
    formats = config.formats
    whole = [formats[min(i, len(formats) - 1)] for i in range(1 << len(index))]  # a complete case
    return Array([Const(constant(fmt)) for fmt in whole])[index]


def _padding(config: TensorCoreConfig, fmt: FloatFormat | IntegerFormat) -> int:
    """Low bits of a decoded significand that are 0 in `fmt`."""
    return config.significand_bits - fmt.significand_bits


def _fraction_bits(config: TensorCoreConfig) -> int:
    """Fraction bits of a peak's code: ceil(log2 g) more than those of a significand."""
    return config.significand_bits - 1 + config.group_bits


def peak_bits(config: TensorCoreConfig) -> int:
    """Bits of a peak's code: exponent field above fraction.

    The code of all ones is free for a block with an infinity or NaN: the fraction of a sum of g
    significands is never all ones in the largest field.
    """
    largest = max(fmt.largest_field for fmt in config.formats) + config.group_bits
    return largest.bit_length() + _fraction_bits(config)


def _lift(config: TensorCoreConfig) -> int:
    """Bits by which an aligned significand can be longer than S."""
    return max(0, config.total_bits - 1 - config.significand_bits)


def shift_bits(config: TensorCoreConfig) -> int:
    """Bits of the shift that `BlockScale` gives to `Align`."""
    shifts = []
    for fmt in config.formats:
        low, high = config.exponent_range(fmt)
        shifts.append(high - low + _padding(config, fmt) + _lift(config))
    return max(1, max(shifts).bit_length())


class BlockScale:
    """How the exponent e of a row follows from the code of its peak; combinational.

    exponent  e, 0 where the row is nonfinite
    shift     for `Align`: by how much a significand of exponent field 1 is shifted to the right

    A normal peak fits a unit of 2^(field + q - padding + S - total_bits) if its significand is
    below a constant, and twice that unit if not: one adder, whose `carry` makes the significands
    that do not fit spill into the next field. A peak of field 0 is normalised first, as far as e
    can go down to q.
    """

    def __init__(self, config: TensorCoreConfig) -> None:
        self.config = config
        self.fraction_bits = _fraction_bits(config)
        fitting = Fraction(
            config.doubled_peak_limit << (self.fraction_bits + 1), 1 << config.total_bits
        )
        self.carry = (2 << self.fraction_bits) - math.ceil(fitting)
        assert 0 <= self.carry < 1 << self.fraction_bits
        widest = max(
            (fmt.significand_bits for fmt in config.formats if not config.exact(fmt)), default=0
        )
        self.most_shifts = max(0, widest + 1 - config.total_bits)

    def find(
        self, m: Module, code: Value, number_format: Value, name: str
    ) -> tuple[Value, Value, Value]:
        """Exponent, shift and `nonfinite` of the row called `name`."""
        c = self.config

        def constant(value: Callable[[FloatFormat | IntegerFormat], int]) -> Value:
            return by_format(c, number_format, value)

        field, fraction = code[self.fraction_bits :], code[: self.fraction_bits]
        shifts = Signal(max(1, self.most_shifts.bit_length()), name=f"shifts_{name}")
        for count in range(1, self.most_shifts + 1):
            upper = fraction[len(fraction) - count + 1 :]
            with m.If(~Cat(field, upper).any()):
                m.d.comb += shifts.eq(count)
        normalised = (code << shifts)[: len(code)]
        # e - q, before its bound of 0.
        margin = Signal(signed(len(field) + 6), name=f"margin_{name}")
        m.d.comb += margin.eq(
            ((normalised + self.carry) >> self.fraction_bits)
            - shifts
            + constant(lambda fmt: fmt.significand_bits - c.total_bits)
        )
        above = Signal(shift_bits(c), name=f"above_{name}")
        with m.If(~constant(c.exact) & (margin > 0)):
            m.d.comb += above.eq(margin)
        nonfinite = constant(lambda fmt: not c.exact(fmt)) & code.all()
        exponent = Mux(nonfinite, 0, above + constant(lambda fmt: fmt.unit_exponent))
        shift = above + constant(lambda fmt: _padding(c, fmt) + _lift(c))
        return exponent, shift, nonfinite


class Peak(Unit):
    """The peak of one lookup group, as a code that orders like the peak itself. Combinational.

    values: g activation codes; format: their place in `config.activations`; peak: exponent field
    above fraction, all ones if one of the values is an infinity or NaN; 0 where no format needs it.
    """

    suffix = "peak"
    clocked = False

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.decode = Decode(config, top)
        super().__init__(config, top, self.decode)

    def ports(self) -> dict[str, Any]:
        c = self.config
        return {
            "values": In(data.ArrayLayout(c.activation_bits, c.lookup_group)),
            "format": In(self.layouts.passes["format"].shape),
            "peak": Out(unsigned(peak_bits(c))),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        if all(c.exact(fmt) for fmt in c.formats):
            return m
        width, group_bits = c.significand_bits, c.group_bits
        decoded = [
            self.decode.placed(m, value, self.format, i) for i, value in enumerate(self.values)
        ]
        largest = Signal(self.decode.field_bits)
        m.d.comb += largest.eq(
            balanced([number.field for number in decoded], lambda a, b: Mux(a > b, a, b))
        )
        # Rounded up in the last place of the format, above its padding.
        padding = by_format(c, self.format, lambda fmt: _padding(c, fmt))
        kept = by_format(c, self.format, lambda fmt: (1 << width) - (1 << _padding(c, fmt)))
        floors: list[Value] = []
        rests: list[Value] = []
        for index, number in enumerate(decoded):
            distance = Signal.like(largest, name=f"distance_{index}")
            wide = Signal(2 * width, name=f"wide_{index}")
            # Further than all bits away, one remains.
            far = Mux(distance > width, width, distance)
            m.d.comb += [
                distance.eq(largest - number.field),
                wide.eq(Cat(Const(0, width), number.significand) >> far),
            ]
            floors.append(wide[width:] & kept)
            rests.append((wide & Cat(Const(-1, width), ~kept)).any())
        total = Signal(width + group_bits)
        m.d.comb += total.eq(balanced(floors, add) + (balanced(rests, add) << padding))
        code = Signal.like(self.peak)
        m.d.comb += code.eq(Cat(Const(0, group_bits), total))  # not normal: field 0
        for above in range(group_bits + 1):
            with m.If(total[width - 1 + above]):
                fraction = (total << (group_bits - above))[: _fraction_bits(c)]
                m.d.comb += code.eq(Cat(fraction, largest + above))
        special = Cat(number.special for number in decoded).any()
        m.d.comb += self.peak.eq(Mux(special, ~Const(0, len(self.peak)), code))
        return m


class Align(Unit):
    """One activation to a two's complement integer in units of 2^e, to nearest, ties to even.

    value: a code of the format; format: its place in `config.activations`; shift: that of the row,
    from `BlockScale`; nonfinite: the row has an infinity or NaN, which makes the result 0.
    Combinational; with `pipeline` a register in front of the rounding takes its data with `enable`.
    """

    suffix = "align"

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.decode = Decode(config, top)
        self.clocked = config.pipeline > 0  # type: ignore[misc]
        super().__init__(config, top, self.decode)

    def ports(self) -> dict[str, Any]:
        return {
            "value": In(unsigned(self.config.activation_bits)),
            "format": In(self.layouts.passes["format"].shape),
            "shift": In(unsigned(shift_bits(self.config))),
            "nonfinite": In(1),
            **({"enable": In(1)} if self.config.pipeline else {}),
            "aligned": Out(signed(self.config.aligned_bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        number = self.decode.placed(m, self.value, self.format, 0)
        headroom = _lift(c)
        width = c.significand_bits + headroom
        # No activation is larger than its row's peak: the shift is never negative.
        shift = Signal(max(len(self.shift), len(number.field)))
        m.d.comb += shift.eq(self.shift + 1 - number.field)
        # Further than `width` the value is below a half and rounds to zero.
        near = width.bit_length()
        wide = Signal(2 * width)
        m.d.comb += wide.eq(Cat(Const(0, width + headroom), number.significand) >> shift[:near])
        half, rest = wide[width - 1], wide[: width - 1].any()
        floor, up, sign = Signal(c.aligned_bits), Signal(), Signal()
        with m.If(~self.nonfinite & ~shift[near:].any()):
            m.d.comb += [
                floor.eq(wide[width:]),
                up.eq(half & (rest | wide[width])),
                sign.eq(number.sign),
            ]
        if c.pipeline:
            # The least integer has one bit more than all others.
            digits = floor if any(c.exact(fmt) for fmt in c.formats) else floor[:-1]
            held = Signal(len(digits) + 2, name="held", reset_less=True)
            with m.If(self.enable):
                m.d.sync += held.eq(Cat(digits, up, sign))
            floor, up, sign = held[:-2], held[-2], held[-1]
        magnitude = Signal(c.aligned_bits)
        m.d.comb += [
            magnitude.eq(floor + up),
            self.aligned.eq(Mux(sign, -magnitude, magnitude)),
        ]
        return m


class Largest(Unit):
    """The largest of the peaks of a row's lookup groups and of one more. Combinational.

    peaks: codes of `Peak`; before: the largest of the steps before; largest: of all.
    With `pipeline` four values at a time are compared each with each: twice the comparisons of a
    tree, and half of its depth.
    """

    suffix = "largest"
    clocked = False

    def ports(self) -> dict[str, Any]:
        bits = peak_bits(self.config)
        return {
            "peaks": In(data.ArrayLayout(bits, self.config.groups_per_step)),
            "before": In(unsigned(bits)),
            "largest": Out(unsigned(bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        values: list[Value] = list(self.peaks)
        if not self.config.pipeline:
            m.d.comb += self.largest.eq(
                balanced([*values, self.before], lambda a, b: Mux(a > b, a, b))
            )
            return m
        while len(values) > _COMPARED:
            values = [
                self._most(values[first : first + _COMPARED])
                for first in range(0, len(values), _COMPARED)
            ]
        m.d.comb += self.largest.eq(self._most([*values, self.before]))
        return m

    def _most(self, values: list[Value]) -> Value:
        """The largest value: that which no other one beats, of equal ones the first."""
        beaten: list[list[Value]] = [[] for _ in values]
        for (i, a), (j, b) in combinations(enumerate(values), 2):
            beaten[i].append(a < b)
            beaten[j].append(a >= b)
        chosen = [
            value & (~Cat(others).any()).replicate(len(value))
            for value, others in zip(values, beaten, strict=True)
        ]
        return balanced(chosen, or_)
