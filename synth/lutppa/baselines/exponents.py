"""Exponents of a fused dot product: the largest, and how far each term is below it."""

# ruff: noqa: D102  (ports and elaborate keep the contract that the base class states)
from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, Signal
from amaranth.lib.wiring import In, Out

from lutcore.formats import FP32

from .mac_config import MacUnit
from .term import base_shape, largest

__all__ = ["Distances", "ExponentSum", "Highest"]


class ExponentSum(MacUnit):
    """The exponent of a product, from the fields of its operands. Combinational."""

    suffix = "exponent"
    clocked = False

    def ports(self) -> dict[str, Any]:
        c = self.config
        field = Shape.cast(c.fmt.exponent_bits)
        return {"a": In(field), "b": In(field), "total": Out(c.exponent_bits)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.total.eq(self.a + self.b)
        return m


class Highest(MacUnit):
    """The largest exponent of the products that count; `none` if none does. Combinational."""

    suffix = "highest"
    clocked = False

    def ports(self) -> dict[str, Any]:
        c = self.config
        return {
            "exponents": In(self.layouts.exponents),
            "counting": In(c.k),
            "highest": Out(c.exponent_bits),
            "none": Out(1),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        some, highest = largest(m, list(zip(self.counting, self.exponents, strict=True)))
        m.d.comb += [self.highest.eq(highest), self.none.eq(~some)]
        return m


class Distances(MacUnit):
    """E, and by how much each exponent is below it. Combinational.

    highest, none: of the products; field, some: the addend's exponent field, and whether its
    fraction is not zero; base: E as a product's exponent.
    """

    suffix = "distances"
    clocked = False

    def ports(self) -> dict[str, Any]:
        base = base_shape(self.config)
        return {
            "exponents": In(self.layouts.exponents),
            "highest": In(self.config.exponent_bits),
            "none": In(1),
            "field": In(FP32.exponent_bits),
            "some": In(1),
            "base": Out(base),
            "addend_distance": Out(base.width),
            "distances": Out(self.layouts.distances),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        normal = self.field.any()
        # The addend's reach may end below 0.
        own = Signal(
            Shape.cast(range(min(1 - c.offset, c.lowest), FP32.special_field - c.offset + 1))
        )
        m.d.comb += own.eq(Cat(self.field[0] | ~normal, self.field[1:]) - c.offset)
        if c.offset < 0:  # Products may be smaller than any FP32 number.
            with m.If(~normal & ~self.some):
                m.d.comb += own.eq(c.lowest)
        ahead = Signal()
        m.d.comb += [
            ahead.eq(self.none | (own > self.highest)),
            self.base.eq(Mux(ahead, own, self.highest)),
            self.addend_distance.eq(Mux(ahead, 0, self.highest - own)),
        ]
        top = (1 << c.distance_bits) - 1
        near = Signal(c.distance_bits)
        m.d.comb += near.eq(
            Mux(self.base > top, top, self.base)
            if FP32.special_field - c.offset > top
            else self.base
        )
        for distance, exponent in zip(self.distances, self.exponents, strict=True):
            m.d.comb += distance.eq(near - exponent)
        return m
