"""Codes of any number format to sign, exponent field and significand.

    value = (-1)^sign significand 2^(q - padding + field - 1)

q is the unit of the code's format, for powers of two that of the number of field 1; padding are
the low bits of the widest significand that the format leaves 0. What follows computes with one
format; only constants differ. Source: docs/specification.md, "Number formats".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike, unsigned
from amaranth.lib.wiring import In, Out

from .formats import FloatFormat, IntegerFormat, PowerFormat
from .streams import index_bits
from .unit import Unit

__all__ = ["Decode", "ScaleDecode"]

Format = FloatFormat | IntegerFormat | PowerFormat


@dataclass(frozen=True)
class Decoded:
    """The outputs of a `Decode`."""

    sign: Value
    field: Value
    significand: Value
    special: Value


class Decode(Unit):
    """One activation code. Combinational.

    code         the bits above a narrower format are ignored
    format       place of the code's format in `formats`
    field        the exponent field, 1 for subnormals and integers; of a power of two the code
                 itself, 0 included
    significand  left-aligned, hidden bit included; the magnitude of an integer
    special      infinity or NaN: field and significand mean nothing
    """

    suffix = "decode"
    clocked = False

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats to choose from."""
        return self.config.formats

    @property
    def significand_bits(self) -> int:
        """S, the significand of the widest format."""
        return max(fmt.significand_bits for fmt in self.formats)

    @property
    def field_bits(self) -> int:
        """Bits of the longest exponent field."""
        return max(
            fmt.bits if isinstance(fmt, PowerFormat) else fmt.largest_field.bit_length()
            for fmt in self.formats
        )

    def placed(self, m: Module, code: ValueLike, number_format: ValueLike, index: int) -> Decoded:
        """The outputs of an instance of this unit in `m`; `index` tells several apart."""
        number = Decoded(
            **{
                name: Signal(member.shape, name=f"{name}_{index}")
                for name, member in self.signature.members.items()
                if member.flow == Out
            }
        )
        m.submodules[f"{self.suffix}_{index}"] = self.place(
            code=code, format=number_format, **vars(number)
        )
        return number

    def ports(self) -> dict[str, Any]:
        return {
            "code": In(unsigned(max(fmt.bits for fmt in self.formats))),
            "format": In(unsigned(index_bits(len(self.formats)))),
            "sign": Out(1),
            "field": Out(unsigned(self.field_bits)),
            "significand": Out(unsigned(self.significand_bits)),
            "special": Out(1),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.Switch(self.format):
            for index, fmt in enumerate(self.formats):
                # The last one takes the rest.
                with m.Case(index) if fmt is not self.formats[-1] else m.Default():
                    self._decode(m, fmt)
        return m

    def _decode(self, m: Module, fmt: Format) -> None:
        code = self.code[: fmt.bits]
        if isinstance(fmt, PowerFormat):
            m.d.comb += [
                self.field.eq(code),
                self.significand.eq(1 << (self.significand_bits - 1)),
                self.special.eq(code.all()),
            ]
            return
        m.d.comb += self.sign.eq(code[-1])
        padding = Const(0, self.significand_bits - fmt.significand_bits)
        if isinstance(fmt, IntegerFormat):
            magnitude = Mux(code[-1], -code, code)[: fmt.bits]
            m.d.comb += [self.field.eq(1), self.significand.eq(Cat(padding, magnitude))]
            return
        fraction, field = code[: fmt.fraction_bits], code[fmt.fraction_bits : -1]
        special = field.all() if fmt.infinities else code[:-1].all()
        m.d.comb += [
            self.field.eq(Mux(field.any(), field, 1)),
            self.significand.eq(Cat(padding, fraction, field.any())),
            self.special.eq(special),
        ]


class ScaleDecode(Decode):
    """One weight scale, of `config.scale_formats`. Combinational."""

    suffix = "scale_decode"

    @property
    def formats(self) -> tuple[Format, ...]:
        return self.config.scale_formats
