"""Operands of fused dot products, taken apart: activations once a row, weights once a column.

codes -> activation -> row of m --> all dot products of the row
codes -> weight -> column of n ---> all dot products of the column
"""

# ruff: noqa: D102  (ports and elaborate keep the contract that the base class states)
from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from .mac_config import NARROW, MacConfig, MacUnit
from .term import largest

__all__ = ["Activation", "Column", "Row", "Weight"]


class Activation(MacUnit):
    """An activation's code taken apart, once for a row of dot products. Combinational.

    field: the exponent field, 1 for subnormals; significand: with the hidden bit; triple: three
    times that, for the digits of weights; nan, infinite: field and significand mean nothing.
    """

    suffix = "activation"
    clocked = False

    def ports(self) -> dict[str, Any]:
        return {
            "code": In(self.config.fmt.bits),
            "number": Out(self.layouts.activation),
            "nan": Out(1),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        _decode(m, self.code, self.config, self.number, self.nan, self.number.significand)
        if "triple" in self.layouts.activation.members:
            single = self.number.significand
            m.d.comb += self.number.triple.eq(single + (single << 1))
        return m


class Weight(MacUnit):
    """A weight's code as sign, exponent and lines, once for a column. Combinational.

    lines: one for every value of a digit that is not zero, as `MacConfig.digits` has them; a digit
    that is never zero has one of them high.
    """

    suffix = "weight"
    clocked = False

    def ports(self) -> dict[str, Any]:
        nan = {} if self.config.weights else {"nan": Out(1)}
        return {"code": In(self.config.weight_bits), "number": Out(self.layouts.weight), **nan}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        magnitude = Signal(c.magnitude_bits)
        if not c.weights:
            _decode(m, self.code, c, self.number, self.nan, magnitude)
        elif NARROW[c.weights][0] % 2 and not c.zero_weights:
            # 2q - (2^n - 1): the lower half mirrors the upper one.
            negative = ~self.code[-1]
            low = self.code[:-1] ^ negative.replicate(c.weight_bits - 1)
            m.d.comb += [self.number.negative.eq(negative), magnitude.eq(Cat(Const(1, 1), low))]
        else:
            negative = self.code[-1]
            m.d.comb += [
                self.number.negative.eq(negative),
                magnitude.eq(Mux(negative, -self.code, self.code)),
            ]
        if c.weights and "nonzero" in self.layouts.weight.members:
            m.d.comb += self.number.nonzero.eq(magnitude.any())
        if not c.signs:
            lines: list[Value] = []
            for index, values in enumerate(c.digits):
                digit = magnitude[2 * index :][:2]
                if values == (1, 3):
                    lines += [~digit[1], digit[1]]
                else:
                    lines += [digit == value for value in values]
            m.d.comb += self.number.lines.eq(Cat(*lines))
        return m


def _decode(
    m: Module, code: Value, config: MacConfig, number: Any, nan: Value, significand: Value
) -> None:
    """Sign, exponent field, significand and kind of a floating-point code."""
    fmt = config.fmt
    fraction, field = code[: fmt.fraction_bits], code[fmt.fraction_bits : -1]
    hidden, some = Signal(), Signal()
    m.d.comb += [
        hidden.eq(field.any()),
        some.eq(fraction.any()),
        number.negative.eq(code[-1]),
        number.field.eq(Cat(field[0] | ~hidden, field[1:])),
        number.nonzero.eq(hidden | some),
        significand.eq(Cat(fraction, hidden)),
    ]
    if fmt.infinities:
        m.d.comb += [number.infinite.eq(field.all() & ~some), nan.eq(field.all() & some)]
    else:
        m.d.comb += nan.eq(code[:-1].all())


class Row(MacUnit):
    """The activations of a row, for all its dot products.

    With narrow weights, whose products have the exponents of activations: the largest of those.
    Cycle contract: `row` is that of the codes in the last cycle with `load`.
    """

    suffix = "row"

    def __init__(self, config: MacConfig, top: str) -> None:
        self.activation = Activation(config, top)
        super().__init__(config, top, self.activation)

    def ports(self) -> dict[str, Any]:
        layouts = self.layouts
        return {"codes": In(layouts.codes), "load": In(1), "row": Out(layouts.row)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held = Signal(self.layouts.codes, reset_less=True)
        with m.If(self.load):
            m.d.sync += held.eq(self.codes)
        nans = Signal(self.config.k)
        terms = [self.row.terms[i] for i in range(self.config.k)]
        for i, number in enumerate(terms):
            m.submodules[f"activation_{i}"] = self.activation.place(
                code=held[i], number=number, nan=nans[i]
            )
        m.d.comb += self.row.nan.eq(nans.any())
        if self.config.weights:
            some, highest = largest(m, [(term.nonzero, term.field) for term in terms])
            m.d.comb += [self.row.nonzero.eq(some), self.row.highest.eq(highest)]
        return m


class Column(MacUnit):
    """The weights of a column, for all its dot products. Cycle contract: as `Row`."""

    suffix = "column"

    def __init__(self, config: MacConfig, top: str) -> None:
        self.weight = Weight(config, top)
        super().__init__(config, top, self.weight)

    def ports(self) -> dict[str, Any]:
        layouts = self.layouts
        return {"codes": In(layouts.weight_codes), "load": In(1), "column": Out(layouts.column)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held = Signal(self.layouts.weight_codes, reset_less=True)
        with m.If(self.load):
            m.d.sync += held.eq(self.codes)
        nans = Signal(self.config.k)
        for i in range(self.config.k):
            nan = {} if self.config.weights else {"nan": nans[i]}
            m.submodules[f"weight_{i}"] = self.weight.place(
                code=held[i], number=self.column.terms[i], **nan
            )
        if not self.config.weights:
            m.d.comb += self.column.nan.eq(nans.any())
        return m
