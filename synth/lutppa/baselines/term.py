"""One term of a fused dot product: operands taken apart, multiplied, aligned."""

# ruff: noqa: D102  (ports and elaborate keep the contract that the base class states)
from __future__ import annotations

from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib.wiring import In, Out

from lutcore.formats import FP32
from lutcore.unit import balanced

from .compress import product
from .mac_config import NARROW, MacConfig, MacUnit

__all__ = ["Align", "Operand", "Product", "Weight", "distance_bits", "greater", "right"]

FINE_BITS = 3


def distance_bits(config: MacConfig) -> int:
    """Bits of the distance by which a term is shifted to the right.

    From `addend_bits` on nothing is left of a term: larger distances need not be told apart.
    """
    largest = config.fmt.largest_field * (1 if config.weights else 2)
    base = max(largest, FP32.largest_field - config.offset)
    return min(base, largest + config.addend_bits).bit_length()


class Operand(MacUnit):
    """A floating-point code taken apart, once for all dot products that use it. Combinational.

    field: the exponent field, 1 for subnormals; significand: with the hidden bit; zero; special:
    infinity or NaN, nan: NaN, where field and significand mean nothing.
    """

    suffix = "operand"
    clocked = False

    def ports(self) -> dict[str, Any]:
        return {"code": In(self.config.fmt.bits), "number": Out(self.layouts.activation)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fmt = self.config.fmt
        fraction, field = self.code[: fmt.fraction_bits], self.code[fmt.fraction_bits : -1]
        hidden, some = Signal(), Signal()
        special = field.all() if fmt.infinities else self.code[:-1].all()
        m.d.comb += [
            hidden.eq(field.any()),
            some.eq(fraction.any()),
            self.number.negative.eq(self.code[-1]),
            self.number.field.eq(Cat(field[0] | ~hidden, field[1:])),
            self.number.significand.eq(Cat(fraction, hidden)),
            self.number.zero.eq(~hidden & ~some),
            self.number.special.eq(special),
            self.number.nan.eq(special & some if fmt.infinities else special),
        ]
        return m


class Weight(MacUnit):
    """The code of a narrow weight as sign and magnitude. Combinational."""

    suffix = "weight"
    clocked = False

    def ports(self) -> dict[str, Any]:
        return {"code": In(self.config.weight_shape), "number": Out(self.layouts.weight)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        code = self.code.as_unsigned()
        magnitude = self.number.significand
        if self.config.weight_shape.signed:
            m.d.comb += [
                self.number.negative.eq(code[-1]),
                magnitude.eq(Mux(code[-1], -self.code, self.code)),
            ]
        else:  # 2q - (2^n - 1): the lower half mirrors the upper one
            low = code[:-1] ^ (~code[-1]).replicate(len(code) - 1)
            m.d.comb += [self.number.negative.eq(~code[-1]), magnitude.eq(Cat(Const(1, 1), low))]
        return m


class Product(MacUnit):
    """The exact product of two significands. Combinational."""

    suffix = "product"
    clocked = False

    def ports(self) -> dict[str, Any]:
        c = self.config
        return {
            "a": In(unsigned(c.fmt.significand_bits)),
            "b": In(unsigned(c.magnitude_bits)),
            "product": Out(unsigned(c.product_bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        b = list(self.b)
        weights = NARROW.get(self.config.weights, (0,))
        if all(weight & 1 for weight in weights):
            b[0] = Const(1, 1)
        m.d.comb += self.product.eq(product(m, self.a, Cat(*b)))
        return m


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
            "distance": In(unsigned(distance_bits(c))),
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


def greater(a: Value, b: Value) -> Value:
    """Whether a > b, unsigned and of one width: a chain of majorities, and no sum beside it."""
    above: Value = Const(0, 1)
    for x, y in zip(a, b, strict=True):
        above = (x & ~y) | ((x | ~y) & above)
    return above
