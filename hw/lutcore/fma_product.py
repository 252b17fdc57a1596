"""The first units of a multiply-add: normalised factors, and their exact product."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from .fma_layout import FmaUnit, held
from .formats import INT32
from .streams import index_bits
from .unit import leading_zeros

__all__ = ["FmaFactors", "FmaProduct"]


class FmaFactors(FmaUnit):
    """A difference's magnitude, normalised, beside the scale. The inputs are those of Fma.

    With `truncate` it is not normalised: fewer digits of the addend are kept beside it.
    Cycle contract: factors one enabled cycle later, two with a `pipeline` of 2 or 3 and no
    `truncate`.
    """

    suffix = "fma_factors"

    def inputs(self) -> dict[str, Any]:
        """The ports that are those of Fma."""
        c = self.config
        return {
            "enable": In(1),
            "empty": In(1),
            "difference": In(signed(c.difference_bits)),
            "scale": In(self.widths.scale),
            "exponent": In(signed(c.exponent_bits)),
            "nonfinite": In(1),
            "output_format": In(unsigned(index_bits(len(c.outputs)))),
            "last": In(1),
        }

    def ports(self) -> dict[str, Any]:
        return {**self.inputs(), "factors": Out(self.widths.factors)}

    def _is_output(self, name: str) -> Value:
        index = self.config.outputs.index(name)
        if len(self.config.outputs) == 1:
            return Const(1, 1)
        return self.output_format == index if index else ~self.output_format.any()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c, w = self.config, self.widths
        raw = self._is_output(INT32.name) if c.raw else Const(0, 1)
        first = Signal(w.factors, name="first", reset_less=True)
        # Sign and magnitude; with 3 the register stands before the magnitude.
        deep = c.pipeline == 3
        counted = held(m, deep, self.enable, "counted", self.difference)
        counts = held(
            m, deep, self.enable, "counts", ~self.empty & (raw | self.scale.significand[-1])
        )
        positive = Mux(counted < 0, -counted, counted)[: w.magnitude_bits]
        magnitude = held(m, not deep, self.enable, "magnitude", Mux(counts, positive, 0))
        flags = [first[fmt.name].eq(self.last & self._is_output(fmt.name)) for fmt in w.narrow]
        if c.raw:
            flags.append(first.raw.eq(raw))
        block_exponent = self.exponent if w.blocks else 0
        with m.If(self.enable):
            m.d.sync += [
                first.sign.eq((self.scale.sign & ~raw) ^ (self.difference < 0)),
                first.fraction.eq(self.scale.significand[:-1]),
                first.exponent.eq(self.scale.exponent + block_exponent + (w.magnitude_bits - 1)),
                first.nan.eq(
                    ~self.empty & (self.scale.special | (self.nonfinite if w.blocks else 0))
                ),
                *flags,
            ]
        m.d.comb += first.magnitude.eq(magnitude)
        if c.truncate:
            m.d.comb += self.factors.eq(first)
            return m
        # Normalise; an integer sum stays as it is.
        zeros, factors = Signal(range(w.magnitude_bits + 1)), Signal(w.factors)
        above = leading_zeros(magnitude)
        m.d.comb += [
            zeros.eq(Mux(first.raw, 0, above) if c.raw else above),
            factors.eq(first),
            factors.magnitude.eq(magnitude << zeros),
            factors.exponent.eq(first.exponent - zeros),
        ]
        m.d.comb += self.factors.eq(held(m, c.pipeline >= 2, self.enable, "normal", factors))
        return m


def _times(value: Value, factor: Value, addend: Value | None = None) -> Value:
    """value * factor + addend, in len(value) + len(factor) bits. A row a digit: of factors as short
    as these Booth's recoding, which synthesis has for `*`, is larger."""
    rows = [
        (value & digit.replicate(len(value))).shift_left(place)
        for place, digit in enumerate(factor)
    ]
    total = sum(rows, Const(0, 1) if addend is None else addend)
    return total[: len(value) + len(factor)]


class FmaProduct(FmaUnit):
    """The product of magnitude and scale, or the magnitude alone for an integer sum.

    ahead is the exponent of the product that follows. Cycle contract: a product one enabled cycle
    later, with a `pipeline` of 3 two, one for each half.
    """

    suffix = "fma_product"

    def ports(self) -> dict[str, Any]:
        return {
            "enable": In(1),
            "factors": In(self.widths.factors),
            "product": Out(self.widths.product),
            "ahead": Out(self.widths.product_exponent),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c, w = self.config, self.widths
        factors = self.factors
        digits: Value = Cat(factors.fraction, Const(1, 1))
        if c.pipeline == 3:
            # The low digits of the scale first, the others in the next stage.
            part = (w.scale_digits + 1) // 2
            low = _times(factors.magnitude, digits[:part])
            low = held(m, True, self.enable, "low", low)
            digits = held(m, True, self.enable, "high_digits", digits[part:])
            factors = held(m, True, self.enable, "held_factors", factors)
            product = Cat(low[:part], _times(factors.magnitude, digits, low[part:]))
        else:
            product = _times(factors.magnitude, digits)
        held_product = Signal(w.product, reset_less=True)
        with m.If(self.enable):
            m.d.sync += [
                held_product.digits.eq(
                    Mux(factors.raw, factors.magnitude, product) if c.raw else product
                ),
                held_product.exponent.eq(factors.exponent),
                *([held_product.some.eq(factors.magnitude.any())] if c.truncate else []),
                *(held_product[name].eq(factors[name]) for name in ("sign", "nan", *w.flags)),
            ]
        m.d.comb += [self.product.eq(held_product), self.ahead.eq(factors.exponent)]
        return m
