"""The middle of a multiply-add: product and addend aligned, and their sum."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .fma_layout import FmaUnit, held
from .formats import FP32

__all__ = ["FmaAlign", "FmaSum"]


class FmaAlign(FmaUnit):
    """Aligns the lower of product and addend.

    Where the addend is the lower one it starts a place down, so that the ones' complement of the
    distance is what remains. Cycle contract: combinational. With a `pipeline` of 2 the addend is
    that of the next product, whose exponent is `ahead`: their distance waits in a register. With 3
    the terms do, one enabled cycle later.
    """

    suffix = "fma_align"

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.clocked = config.pipeline >= 2  # type: ignore[misc]
        super().__init__(config, top)

    def ports(self) -> dict[str, Any]:
        return {
            "enable": In(1),
            "product": In(self.widths.product),
            "ahead": In(self.widths.product_exponent),
            "addend": In(unsigned(FP32.bits)),
            "terms": Out(self.widths.terms),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c, w = self.config, self.widths
        fraction_bits = FP32.fraction_bits
        product = self.product.digits
        early = c.pipeline == 2

        def field(addend: Value) -> Value:
            return addend[fraction_bits : fraction_bits + FP32.exponent_bits]

        def effective(field: Value) -> Value:
            return Mux(field.any(), field, 1)

        apart = Signal(w.exponent)
        m.d.comb += apart.eq(
            effective(field(self.addend)) - (self.ahead if early else self.product.exponent)
        )
        addend = held(m, early, self.enable, "held_addend", self.addend)
        distance = held(m, early, self.enable, "distance", apart)
        addend_field, addend_fraction = field(addend), addend[:fraction_bits]
        addend_exponent = effective(addend_field)
        addend_above, below = Signal(), distance[-1]
        m.d.comb += [
            # The highest bit of the product is in one of the upper two places, unless it is zero.
            addend_above.eq(~below | ~(self.product.some if c.truncate else product[-2:].any())),
        ]
        addend_frame = Cat(
            Const(0, w.frame - FP32.significand_bits), addend_fraction, addend_field.any()
        )
        product_frame = Cat(Const(0, w.frame - w.product_bits), product)
        lower = Signal(w.frame + 1)
        places = Signal(range(w.width + c.truncate))
        steps = distance[:-1] ^ below.replicate(len(distance) - 1)
        m.d.comb += [
            lower.eq(Mux(addend_above, Cat(Const(0, 1), product_frame), addend_frame)),
            places.eq(steps[: len(places)] | steps[len(places) :].any().replicate(len(places))),
        ]
        if c.truncate:
            window: Value = (lower >> places)[1:]
        else:
            farthest = (1 << len(places)) - 1
            moved = Signal(farthest + w.width - 1)
            m.d.comb += moved.eq(Cat(Const(0, len(moved) - len(lower)), lower) >> places)
            window = Cat(moved[:farthest].any(), moved[farthest:])
        subtract = self.product.sign ^ addend[-1]
        special = addend_field == FP32.special_field
        terms = Signal(w.terms)
        m.d.comb += [
            terms.upper.eq(Mux(addend_above, addend_frame, product_frame)),
            # -x = ~x + 1, the one as a carry of the sum.
            terms.lower.eq(window ^ subtract.replicate(w.width)),
            terms.subtract.eq(subtract),
            terms.fixed.eq(special),
            # Bit `width` of the sum has the exponent field room + 1, and it is shifted by as much
            # as room to be a subnormal's. The room of FP32 is never below 1, that of a format of
            # smaller exponents may be negative.
            terms.room.eq(
                Mux(addend_above, addend_exponent, self.product.exponent)
                + w.chosen(self.product, lambda fmt: fmt.bias - FP32.bias)
            ),
            terms.special.eq(self.product.nan | special),
            terms.nan.eq(self.product.nan | (special & addend_fraction.any())),
            terms.sign.eq(Mux(addend_above | special, addend[-1], self.product.sign)),
            *(terms[name].eq(self.product[name]) for name in w.flags),
        ]
        if c.raw:
            magnitude = product[: w.magnitude_bits]
            term = Mux(self.product.sign, -magnitude, magnitude)
            m.d.comb += terms.integer.eq(addend + term)
        m.d.comb += self.terms.eq(held(m, c.pipeline == 3, self.enable, "held_terms", terms))
        return m


class FmaSum(FmaUnit):
    """The magnitude of the sum. Cycle contract: one enabled cycle later."""

    suffix = "fma_sum"

    def ports(self) -> dict[str, Any]:
        return {
            "enable": In(1),
            "terms": In(self.widths.terms),
            "total": Out(self.widths.total),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c, w, terms = self.config, self.widths, self.terms
        sums, reverse = Signal(w.width + 2), Signal(w.width)
        upper = Cat(Const(0, w.below), terms.upper)
        m.d.comb += sums.eq(Cat(terms.subtract, upper) + Cat(terms.subtract, terms.lower))
        negative = terms.subtract & ~sums[-1]
        # Negated at once, or by a second sum beside the first: -(u + ~w + 1) = ~(u + ~w).
        m.d.comb += reverse.eq(~(upper + terms.lower) if c.pipeline >= 2 else -sums[1:-1])
        size = Mux(negative, reverse, Cat(sums[1:-1], sums[-1] & ~terms.subtract))
        if c.raw:
            size = Mux(terms.raw, terms.integer, size)
        total = Signal(w.total, reset_less=True)
        with m.If(self.enable):
            m.d.sync += [
                total.size.eq(size),
                total.sign.eq(terms.sign ^ (negative & ~terms.fixed)),
                *(total[name].eq(terms[name]) for name in ("room", "special", "nan", *w.flags)),
            ]
        m.d.comb += self.total.eq(total)
        return m
