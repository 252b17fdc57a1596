"""One term of a fused dot product: multiplied, aligned."""

# ruff: noqa: D102  (ports and elaborate keep the contract that the base class states)
from __future__ import annotations

from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value, unsigned
from amaranth.lib.wiring import In, Out

from lutcore.formats import FP32
from lutcore.unit import balanced

from .compress import columns_sum
from .mac_config import MacConfig, MacUnit
from .tree import Columns

__all__ = ["Align", "Product", "base_shape", "largest", "right"]

FINE_BITS = 3


def base_shape(config: MacConfig) -> Shape:
    """E as a product's exponent, which may be below 0."""
    return Shape.cast(range(min(config.lowest, 0), FP32.special_field + abs(config.offset) + 1))


class Product(MacUnit):
    """The exact product of an activation's significand and a weight's digits. Combinational.

    A digit of radix 4 selects a multiple of the significand; three times that is made once a row.
    So there are half as many partial products as with single bits, for less than the adders that
    they would take, and no sign to correct as in Booth's recoding.
    """

    suffix = "product"
    clocked = False

    def ports(self) -> dict[str, Any]:
        c = self.config
        members = self.layouts.activation.members
        return {
            **{name: In(members[name]) for name in ("significand", "triple") if name in members},
            "lines": In(self.layouts.weight.members["lines"]),
            "product": Out(c.product_bits),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        partials: list[Value] = []
        lines = list(self.lines)
        single = Cat(self.significand, Const(0, 2))
        multiples = {1: single, 2: Cat(Const(0, 1), self.significand, Const(0, 1))}
        if hasattr(self, "triple"):
            multiples[3] = self.triple
        for index, values in enumerate(c.digits):
            width = c.fmt.significand_bits + max(values).bit_length() - 1 + (3 in values)
            width = min(width, c.product_bits - 2 * index)
            partial = Signal(width, name=f"partial_{index}")
            choices = [multiples[value][:width] & lines.pop(0).replicate(width) for value in values]
            m.d.comb += partial.eq(balanced(choices, or_))
            partials.append(partial)
        m.d.comb += self.product.eq(self._sum(m, partials))
        return m

    def _sum(self, m: Module, partials: list[Value]) -> Value:
        """The sum of partial products; for a clock as a tree, else with the fewest inverters."""
        if self.config.stages:
            tree = Columns(m, self.config.product_bits)
            for index, partial in enumerate(partials):
                tree.add(2 * index, partial)
            return tree.total()
        columns: list[list[Value]] = [[] for _ in range(self.config.product_bits)]
        for index, partial in enumerate(partials):
            for place, bit in enumerate(partial):
                columns[2 * index + place].append(bit)
        return columns_sum(m, columns, "sum")


class Align(MacUnit):
    """A product's magnitude, shifted and truncated, its bits inverted if negative. Combinational.

    distance: E less the product's exponent; addend: a multiple of 2^(E - F).
    """

    suffix = "align"
    clocked = False

    def ports(self) -> dict[str, Any]:
        c = self.config
        return {
            "product": In(unsigned(c.product_bits)),
            "distance": In(unsigned(c.distance_bits)),
            "negative": In(1),
            "addend": Out(unsigned(c.addend_bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        padding = Const(0, c.fraction_bits - c.product_fraction_bits)
        shifted = right(m, Cat(padding, self.product), self.distance, c.addend_bits)
        m.d.comb += self.addend.eq(shifted ^ self.negative.replicate(c.addend_bits))
        return m


def right(m: Module, value: Value, distance: Value, width: int) -> Value:
    """`value` >> `distance` in `width` bits, for any distance.

    Up to seven places one bit of the distance at a time, then all multiples of eight at once: most
    outputs of that step have only one or two sources.
    """
    shifted = Signal(width, name="shifted_0")
    m.d.comb += shifted.eq(value)
    for place in range(min(FINE_BITS, len(distance))):
        step = Signal(width, name=f"shifted_{place + 1}")
        move = distance[place].replicate(width)
        m.d.comb += step.eq((shifted & ~move) | ((shifted >> (1 << place)) & move))
        shifted = step
    coarse = distance[FINE_BITS:]
    if not len(coarse):
        return shifted
    choices = []
    for multiple in range(min(-(-width >> FINE_BITS), 1 << len(coarse))):
        line = Signal(name=f"by_{multiple << FINE_BITS}")
        m.d.comb += line.eq(coarse == multiple if multiple else ~coarse.any())
        choices.append((shifted >> (multiple << FINE_BITS)) & line.replicate(width))
    return balanced(choices, or_)


def largest(m: Module, numbers: list[tuple[Value, Value]]) -> tuple[Value, Value]:
    """Whether any of (counts, number) counts, and the largest number that does; 0 without any.

    From the highest bit on, numbers without it fall out where another has it: an AND, an OR and
    one gate more for a bit of a number, less than comparing and choosing in pairs.
    """
    left = [Signal() for _ in numbers]
    m.d.comb += [signal.eq(counts) for signal, (counts, _) in zip(left, numbers, strict=True)]
    some, bits = Cat(*left).any(), []
    for place in reversed(range(len(numbers[0][1]))):
        having = Signal(len(numbers), name=f"having_{place}")
        found = Signal(name=f"largest_{place}")
        digit = Cat(*(number[place] for _, number in numbers))
        m.d.comb += [having.eq(Cat(*left) & digit), found.eq(having.any())]
        bits.append(found)
        rest = Signal(len(numbers), name=f"left_{place}")
        m.d.comb += rest.eq(having | (Cat(*left) & (~found).replicate(len(numbers))))
        left = list(rest)
    return some, Cat(*bits[::-1])
