"""The lanes of the baselines: partial products, one tree of full adders, an accumulator.

    add, native, tables   entries of the row, selected by lines of the column, negated or not
    mac                   codes of the column, times 1, 2 or -1 by digits of the row

All partial products of a step, the row's correction and the accumulator meet in one tree, so that
no carry is propagated but the last.
"""

# The methods keep the contracts that the base classes state.
# ruff: noqa: D102

from __future__ import annotations

from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from lutcore.unit import balanced

from .operands import BaselineUnit
from .tree import Columns

__all__ = ["Lane"]


class Lane(BaselineUnit):
    """One element of the output tile.

    operand: the row's; selections: the column's; keep: add to the accumulator; shift: add to twice
    the accumulator (a new plane; only of bit-serial designs); neither: start from zero.
    Cycle contract: psum holds the sum one cycle later. A cycle in which nothing is selected and
    with `keep` changes nothing, so that a lane needs no enable. With one nothing changes without
    it; with a stage, products come in a cycle with `move`, and `keep`, `shift` and `enable` belong
    to the next.

    Once elaborated it knows its first principles: `selected_bits` that an AND gate lets through to
    an OR, `exclusive_ors` and `full_adders`.
    """

    suffix = "lane"

    def ports(self) -> dict[str, Any]:
        return {
            "operand": In(self.layouts.operand),
            "selections": In(self.layouts.selections),
            "keep": In(1),
            "shift": In(1),
            **({"enable": In(1)} if self.config.enables else {}),
            **({"move": In(1)} if self.config.stages else {}),
            "psum": Out(signed(self.config.accumulator_bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        columns = Columns(m, c.accumulator_bits)
        self.selected_bits = self.exclusive_ors = 0
        if c.design == "mac":
            self._multiply(m, columns)
        else:
            self._select(m, columns)
        if c.correction_bits:
            columns.add_signed(0, self.operand.correction.as_unsigned())
        self.full_adders = 0
        if c.stages:
            columns = self._registered(m, columns)
        psum = Signal(c.accumulator_bits, reset_less=True, name="accumulator")
        kept = psum & self.keep.replicate(c.accumulator_bits)
        doubled = Cat(Const(0, 1), psum[:-1]) & self.shift.replicate(c.accumulator_bits)
        base = Signal(c.accumulator_bits)
        m.d.comb += [
            self.psum.eq(psum),
            # With one plane nothing is ever doubled.
            base.eq(kept | doubled if c.bit_serial and c.weight_bits > 1 else kept),
        ]
        columns.add(0, base)
        total = columns.total()
        self.full_adders += columns.full_adders
        with m.If(self.enable if c.enables else Const(1, 1)):
            m.d.sync += psum.eq(total)
        return m

    def _registered(self, m: Module, columns: Columns) -> Columns:
        """The sum of products as two registered numbers: no carry is propagated before them."""
        later = Columns(m, columns.width)
        for index, row in enumerate(columns.rows()):
            for place, bit in enumerate(row):
                held = bit
                if not isinstance(bit, Const):
                    held = Signal(name=f"held_{index}_{place}", reset_less=True)
                    with m.If(self.move):
                        m.d.sync += held.eq(bit)
                later.add(place, held)
        self.full_adders = columns.full_adders
        return later

    def _select(self, m: Module, columns: Columns) -> None:
        c = self.config
        for group in range(c.groups):
            lines = list(self.selections[group].lines)
            for place, count in c.digits:
                entries = self._entries(group, count)
                width = len(entries[0])
                choices = [entry & lines.pop(0).replicate(width) for entry in entries]
                self.selected_bits += width * count
                product = Signal(width, name=f"product_{group}_{place}")
                selected = balanced(choices, or_)
                if c.folded:
                    negate = self.selections[group].negate
                    selected ^= negate.replicate(width)
                    self.exclusive_ors += width
                    columns.add(0, negate)
                m.d.comb += product.eq(selected)
                columns.add_signed(place + c.doubled, product)

    def _entries(self, group: int, count: int) -> list[Value]:
        """The entries of a digit of `count` lines, as wide as the largest of them."""
        c = self.config
        held = [self.operand.choices[group][i].as_unsigned() for i in range(c.stored)]
        if c.design not in ("add", "native"):
            return held
        width = c.activation_bits + count - 1
        return [entry[:width] for entry in (held[0], held[0] << 1, held[-1])[:count]]

    def _multiply(self, m: Module, columns: Columns) -> None:
        c = self.config
        width = c.weight_bits + 1
        for term in range(c.terms):
            code = self.selections[term]
            single, double = Cat(code, code[-1]), Cat(Const(0, 1), code)
            for index, (place, _) in enumerate(c.digits):
                one, two, minus = self.operand.choices[term][3 * index :][:3]
                self.selected_bits += 3 * width
                chosen = single & one.replicate(width) | double & two.replicate(width)
                product = Signal(width, name=f"product_{term}_{place}")
                if place + 2 < c.activation_bits:
                    m.d.comb += product.eq(chosen | ~single & minus.replicate(width))
                else:
                    self.exclusive_ors += width
                    m.d.comb += product.eq(chosen ^ minus.replicate(width))
                columns.add_signed(place, product)
