"""Operands of fused dot products, taken apart: activations once a row, weights once a column.

codes -> registers -> activation -> row of m --> all dot products of the row
codes -> registers -> weight -> column of n ---> all dot products of the column

With a register before the products, exponents are of the step after that of the numbers.
"""

# ruff: noqa: D102  (ports and elaborate keep the contract that the base class states)
from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from .mac_config import NARROW, MacConfig, MacUnit
from .term import largest

__all__ = ["Activation", "Column", "Exponent", "Row", "Weight"]


class Exponent(MacUnit):
    """The exponent field of a code, 1 for subnormals, and whether it is not zero. Combinational."""

    suffix = "field"
    clocked = False

    def ports(self) -> dict[str, Any]:
        return {"code": In(self.config.fmt.bits), "exponent": Out(self.layouts.exponent)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fmt = self.config.fmt
        field = self.code[fmt.fraction_bits : -1]
        m.d.comb += [
            self.exponent.field.eq(Cat(field[0] | ~field.any(), field[1:])),
            self.exponent.nonzero.eq(self.code[:-1].any()),
        ]
        return m


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
        significand.eq(Cat(fraction, hidden)),
    ]
    if "nonzero" in number.shape().members:
        m.d.comb += number.nonzero.eq(hidden | some)
    if fmt.infinities:
        m.d.comb += [number.infinite.eq(field.all() & ~some), nan.eq(field.all() & some)]
    else:
        m.d.comb += nan.eq(code[:-1].all())


class Operands(MacUnit):
    """Base of a row and a column: codes in registers, and what they become.

    Cycle contract: codes come with `load`. With `config.early` exponents are taken from them, and
    the next `move` takes them on to where numbers are taken apart and held.
    """

    def __init__(self, config: MacConfig, top: str, number: MacUnit) -> None:
        self.number, self.exponent = number, Exponent(config, top)
        ahead = config.early and not (config.weights and isinstance(number, Weight))
        super().__init__(config, top, *([self.exponent] if ahead else []), number)

    def operand(self, layout: Any, name: str) -> dict[str, Any]:
        """Ports of codes of a layout and of what they become."""
        move = {"move": In(1)} if self.config.early else {}
        return {"codes": In(layout), "load": In(1), **move, name: Out(getattr(self.layouts, name))}

    def loaded(self, m: Module) -> Any:
        """The codes of the last step."""
        held = Signal(self.codes.shape(), reset_less=True)
        with m.If(self.load):
            m.d.sync += held.eq(self.codes)
        return held

    def waiting(self, m: Module, value: Any, name: str) -> Any:
        """A value, one move later if exponents are early."""
        if not self.config.early:
            return value
        held = Signal.like(value, name=name, reset_less=True)
        with m.If(self.move):
            m.d.sync += held.eq(value)
        return held

    def exponents(self, m: Module, codes: Any) -> Any:
        """The exponents of codes."""
        found = Signal(data.ArrayLayout(self.layouts.exponent, self.config.k), name="exponents")
        for i in range(self.config.k):
            m.submodules[f"exponent_{i}"] = self.exponent.place(code=codes[i], exponent=found[i])
        return found


class Row(Operands):
    """The activations of a row, for all its dot products.

    With narrow weights, whose products have the exponents of activations: the largest of those.
    """

    suffix = "row"

    def __init__(self, config: MacConfig, top: str) -> None:
        super().__init__(config, top, Activation(config, top))

    def ports(self) -> dict[str, Any]:
        return self.operand(self.layouts.codes, "row")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        codes, nans = self.loaded(m), Signal(c.k)
        numbers = Signal(self.row.terms.shape())
        for i in range(c.k):
            m.submodules[f"activation_{i}"] = self.number.place(
                code=codes[i], number=numbers[i], nan=nans[i]
            )
        m.d.comb += [
            self.row.terms.eq(self.waiting(m, numbers, "terms")),
            self.row.nan.eq(self.waiting(m, nans.any(), "nan")),
        ]
        first: Any = self.exponents(m, codes) if c.early else numbers
        if c.weights:
            some, highest = largest(m, [(first[i].nonzero, first[i].field) for i in range(c.k)])
            m.d.comb += [
                self.row.nonzero.eq(self.waiting(m, some, "some")),
                self.row.highest.eq(self.waiting(m, highest, "highest")),
            ]
        elif c.early:
            m.d.comb += self.row.ahead.eq(first)
        return m


class Column(Operands):
    """The weights of a column, for all its dot products."""

    suffix = "column"

    def __init__(self, config: MacConfig, top: str) -> None:
        super().__init__(config, top, Weight(config, top))

    def ports(self) -> dict[str, Any]:
        return self.operand(self.layouts.weight_codes, "column")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        codes, nans = self.loaded(m), Signal(c.k)
        numbers = Signal(self.column.terms.shape())
        for i in range(c.k):
            nan = {} if c.weights else {"nan": nans[i]}
            m.submodules[f"weight_{i}"] = self.number.place(code=codes[i], number=numbers[i], **nan)
        m.d.comb += self.column.terms.eq(self.waiting(m, numbers, "terms"))
        if not c.weights:
            m.d.comb += self.column.nan.eq(self.waiting(m, nans.any(), "nan"))
            if c.early:
                m.d.comb += self.column.ahead.eq(self.exponents(m, codes))
        return m
