"""What is prepared once for many lanes: operands of a row, selections of a column, registers.

    activations -> row -> registers -> all lanes of the row
    codes -> registers -> column -> all lanes of the column

A row's work is shared by all columns, so whatever depends on activations alone is done here:
multiples, tables, radix-4 digits, and the one number that corrects for a code's offset.
"""

# The methods keep the contracts that the base classes state.
# ruff: noqa: D102

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from lutcore.unit import BaseUnit

from .config import BaselineConfig
from .layouts import BaselineLayouts
from .tree import Columns

__all__ = ["BaselineUnit", "Column", "ColumnRegisters", "Row", "RowRegisters"]


class BaselineUnit(BaseUnit):
    """Base of the units of a baseline."""

    def __init__(self, config: BaselineConfig, top: str, *children: BaseUnit) -> None:
        self.config = config
        self.layouts = BaselineLayouts(config)
        super().__init__(top, *children)


class Registers(BaselineUnit):
    """Holds a payload, of the layout called `held`, while lanes read it.

    Cycle contract: what is at `i` in a cycle with `load` is at `o` from the next on.
    """

    held: str

    def ports(self) -> dict[str, Any]:
        layout = getattr(self.layouts, self.held)
        return {"i": In(layout), "load": In(1), "o": Out(layout)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held = Signal(len(Value.cast(self.i)), reset_less=True)
        with m.If(self.load):
            m.d.sync += held.eq(Value.cast(self.i))
        m.d.comb += Value.cast(self.o).eq(held)
        return m


class RowRegisters(Registers):
    """The operand of a row's lanes. `take`: there is a step; without it what is added is zero."""

    suffix = "row_registers"
    held = "operand"

    def ports(self) -> dict[str, Any]:
        c = self.config
        gated = c.gates_rows or (c.gates_columns and c.correction_bits)
        return super().ports() | ({"take": In(1)} if gated else {})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        held = Signal(self.layouts.operand, reset_less=True)
        with m.If(self.load):
            m.d.sync += held.eq(self.i)
        m.d.comb += self.o.eq(held)
        if c.gates_rows:
            bits = Value.cast(held)
            m.d.comb += Value.cast(self.o).eq(bits & self.take.replicate(len(bits)))
        elif c.gates_columns and c.correction_bits:
            correction = held.correction.as_unsigned()
            m.d.comb += self.o.correction.eq(correction & self.take.replicate(len(correction)))
        return m


class ColumnRegisters(Registers):
    """The codes of a column, or its selections."""

    suffix = "column_registers"

    @property
    def held(self) -> str:  # type: ignore[override]
        """Name of the payload's layout."""
        return "selections" if self.config.decodes_first else "codes"


class Row(BaselineUnit):
    """The operand of a row's lanes, from its activations. Combinational."""

    suffix = "row"
    clocked = False

    def ports(self) -> dict[str, Any]:
        return {"values": In(self.layouts.values), "operand": Out(self.layouts.operand)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        values = [self.values[term] for term in range(c.terms)]
        if c.design == "mac":
            corrections = Columns(m, c.correction_bits)
            for term, value in enumerate(values):
                self._recode(m, term, value.as_unsigned(), corrections)
            m.d.comb += self.operand.correction.eq(corrections.total())
        else:
            if c.offset:
                total = Signal(signed(c.activation_bits + (c.terms - 1).bit_length()), name="total")
                m.d.comb += [
                    total.eq(self._total(m, values, len(total))),
                    self.operand.correction.eq(-c.offset * total),
                ]
            for group in range(c.groups):
                inputs = values[group * c.lookup_group :][: c.lookup_group]
                for entry, value in enumerate(self._entries(m, group, inputs)):
                    m.d.comb += self.operand.choices[group][entry].eq(value)
        return m

    @staticmethod
    def _total(m: Module, values: list[Value], width: int) -> Value:
        columns = Columns(m, width)
        for value in values:
            columns.add_signed(0, value.as_unsigned())
        return columns.total()

    def _entries(self, m: Module, group: int, values: list[Value]) -> list[Value]:
        """The entries of one lookup group, in the order of their lines."""

        def hold(name: str, total: Value) -> Value:
            held = Signal(signed(len(total)), name=f"{name}_{group}")
            m.d.comb += held.eq(total)
            return held

        if self.config.folded:
            # Entry d is the last value, and each other one with the sign that bit i of d gives:
            # sums of the upper half of the values, plus or minus those of the lower half.
            half = len(values) // 2
            lower, upper = (
                [hold(f"{name}_{i}", total) for i, total in enumerate(_signed_sums(part))]
                for name, part in (("lower", values[:half]), ("upper", values[half:]))
            )
            mask = len(lower) - 1
            return [
                high + low if positive else high - low
                for high in upper
                for positive in (False, True)
                for low in (lower if positive else [lower[~i & mask] for i in range(len(lower))])
            ]
        if self.config.design != "full":
            (value,) = values
            return [value, value + (value << 1)][: self.config.stored]
        entries: list[Value] = []
        for place, value in enumerate(values):
            entries += [
                hold(f"entry_{place}_{index}", total)
                for index, total in enumerate([value, *(value + entry for entry in entries)])
            ]
        return entries

    def _recode(self, m: Module, term: int, value: Value, corrections: Columns) -> None:
        """Lines `one`, `two`, `minus` of an activation's radix-4 digits, and their corrections.

        Digits are -1 .. 2 with a carry from each to the next, the uppermost -2 .. 2 with `minus`
        as its sign. A lane takes -x as the complement of x, which is too small by 1.
        """
        c = self.config
        lines: list[Value] = []
        carry: Value = Const(0, 1)
        for place, _ in c.digits:
            low, high = value[place], value[place + 1]
            line = Signal(3, name=f"digit_{term}_{place}")
            if place + 2 < c.activation_bits:
                # low + 2 high + carry: 1, 2, and 3 as -1; a carry where it is 3 or more.
                m.d.comb += line.eq(
                    Cat(~high & (low ^ carry), (high ^ (low & carry)) & ~(low ^ carry),
                        high & (low ^ carry))
                )  # fmt: skip
                carry = high & (low | carry)
            else:
                # low - 2 high + carry: of -2 .. 2.
                one = low ^ carry
                two = Mux(high, ~low & ~carry, low & carry)
                m.d.comb += line.eq(Cat(one, two, high & (one | two)))
            lines.append(line)
            corrections.add(place, line[2])
        m.d.comb += self.operand.choices[term].eq(Cat(*lines))


def _signed_sums(values: list[Value]) -> list[Value]:
    """Sums with the last value positive: sum d adds value i where bit i of d is set."""
    sums = [values[-1]]
    for value in values[-2::-1]:
        sums = [choice for total in sums for choice in (total - value, total + value)]
    return sums


class Column(BaselineUnit):
    """What a column's codes tell its lanes, once for all rows. Combinational.

    One line for every entry of a digit, all low where nothing is selected; `negate` where the
    table holds half of the sums. `take`: there is a step; without it nothing is selected.
    """

    suffix = "column"
    clocked = False

    def ports(self) -> dict[str, Any]:
        take = {"take": In(1)} if self.config.gates_columns else {}
        return {"codes": In(self.layouts.codes), **take, "selections": Out(self.layouts.selections)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        if c.design == "mac":
            m.d.comb += self.selections.eq(self.codes)
            return m
        take = self.take if c.gates_columns else Const(1, 1)
        for group in range(c.groups):
            codes = [self.codes[group * c.lookup_group + i] for i in range(c.lookup_group)]
            code, negate = Cat(*codes), Const(0, 1)
            if c.design == "half":
                negate = ~code[-1]
                code = code[:-1] ^ negate.replicate(len(code) - 1)
            elif c.folded:
                code, negate = code[:-1], code[-1]
            elif c.coding == "integer":
                code = Cat(code[:-1], ~code[-1])
            lines: list[Value] = []
            for place, count in c.digits:
                digit = code[place : place + count.bit_length()]
                if c.coding == "ternary":
                    lines += [code[0], code[1]]
                elif count == 1:
                    lines.append(code[place])
                elif c.folded:
                    lines += [code == i if i else ~code.any() for i in range(count)]
                else:
                    lines += [digit == i for i in range(1, count + 1)]
            m.d.comb += self.selections[group].lines.eq(Cat(*(line & take for line in lines)))
            if c.folded:
                m.d.comb += self.selections[group].negate.eq(negate & take)
        return m
