"""What is prepared once for many lanes: operands of a row, selections of a column, registers.

    activations -> row -> registers -> all lanes of the row
    codes -> registers -> column -> all lanes of the column

A row's work is shared by all columns, so whatever depends on activations alone is done here:
multiples, tables, radix-4 digits, and the one number that corrects for a code's offset.
"""

# The methods keep the contracts that the base classes state.
# ruff: noqa: D102

from __future__ import annotations

from operator import add
from typing import Any, ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from lutcore.unit import BaseUnit, balanced

from .config import BaselineConfig, BaselineLayouts

__all__ = ["BaselineUnit", "Column", "ColumnRegisters", "Row", "RowRegisters"]


class BaselineUnit(BaseUnit):
    """Base of the units of a baseline."""

    def __init__(self, config: BaselineConfig, top: str, *children: BaseUnit) -> None:
        self.config = config
        self.layouts = BaselineLayouts(config)
        super().__init__(top, *children)


class Registers(BaselineUnit):
    """Holds a payload while lanes read it.

    held  name of the payload's layout

    Cycle contract: what is at `i` in a cycle with `load` is at `o` from the next on.
    """

    held: ClassVar[str]

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
    """The operand of a row's lanes."""

    suffix = "row_registers"
    held = "operand"


class ColumnRegisters(Registers):
    """The codes of a column."""

    suffix = "column_registers"
    held = "codes"


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
        corrections = [-c.offset * balanced(list(values), add)] if c.offset else []
        if c.design == "mac":
            for term, value in enumerate(values):
                lines, correction = self._recoded(m, term, value.as_unsigned())
                m.d.comb += self.operand.choices[term].eq(lines)
                corrections.append(correction)
        else:
            for group in range(c.groups):
                inputs = values[group * c.lookup_group :][: c.lookup_group]
                for entry, value in enumerate(self._entries(m, group, inputs)):
                    m.d.comb += self.operand.choices[group][entry].eq(value)
        if corrections:
            m.d.comb += self.operand.correction.eq(balanced(corrections, add))
        return m

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

    def _recoded(self, m: Module, term: int, value: Value) -> tuple[Value, Value]:
        """Lines `one`, `two`, `minus` of an activation's radix-4 digits, and its correction.

        Digits are -1 .. 2 with a carry from each to the next, the uppermost -2 .. 2 with `minus`
        as its sign. A lane takes -x as the complement of x in weight_bits + 1 bits, which is too
        large by 2^(weight_bits + 1) - 1.
        """
        c = self.config
        lines: list[Value] = []
        carry: Value = Const(0, 1)
        correction: list[Value] = []
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
            correction.append(line[2] << place)
        negative = balanced(correction, add)
        return Cat(*lines), negative - (negative << (c.weight_bits + 1))


def _signed_sums(values: list[Value]) -> list[Value]:
    """Sums with the last value positive: sum d adds value i where bit i of d is set."""
    sums = [values[-1]]
    for value in values[-2::-1]:
        sums = [choice for total in sums for choice in (total - value, total + value)]
    return sums


class Column(BaselineUnit):
    """What a column's codes tell its lanes, once for all rows. Combinational.

    One line for every entry of a digit, all low where nothing is selected; `negate` where the
    table holds half of the sums.
    """

    suffix = "column"
    clocked = False

    def ports(self) -> dict[str, Any]:
        return {"codes": In(self.layouts.codes), "selections": Out(self.layouts.selections)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        if c.design == "mac":
            # Two's complement plus 2^(weight_bits - 1); the row corrects for it.
            for term in range(c.terms):
                code = self.codes[term]
                m.d.comb += self.selections[term].eq(Cat(code[:-1], ~code[-1]))
            return m
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
            m.d.comb += self.selections[group].lines.eq(Cat(*lines))
            if c.folded:
                m.d.comb += self.selections[group].negate.eq(negate)
        return m
