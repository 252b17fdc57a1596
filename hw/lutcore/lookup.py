"""The lanes: select an entry, negate it conditionally, add the groups of a step, accumulate.

    weights -> decoder (ternary tables only) -> lane <- tables

All integers, no multiplier. Planes come most significant first, so a lane shifts its accumulator
by one at the start of a plane and nothing else moves.
Source: paper section 3 (bit-serial lookup); docs/specification.md, "Lookup".
"""

from __future__ import annotations

from collections.abc import Callable
from operator import add, or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .unit import Unit, balanced

__all__ = ["Decoder", "Lane", "LookupArray"]


class Decoder(Unit):
    """A column's ternary codes to one line per table entry, once for all rows. Combinational.

    codes: two for every six digits, as docs/specification.md folds them; selections: per pair of
    digits the line of an entry, or none for zero, and `negate`.
    """

    suffix = "decoder"
    clocked = False

    def ports(self) -> dict[str, Any]:
        return {"codes": In(self.layouts.codes), "selections": Out(self.layouts.selections)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for first in range(0, len(self.codes), 2):
            singles: list[tuple[Value, Value]] = []
            for place in range(2):
                code = self.codes[first + place]
                zero, plus, minus = (
                    Signal(name=f"{name}_{first + place}") for name in ("zero", "plus", "minus")
                )
                m.d.comb += [
                    zero.eq(code[3] & code[4]),
                    plus.eq(Mux(zero, code[0], code[3])),
                    minus.eq(Mux(zero, code[1], code[4])),
                ]
                singles.append((plus, minus))
                low, high = code[0], code[1]
                entry = (~low & ~high, low & ~high, ~low & high, low & high)
                pair = self.selections[first // 2 * 3 + place]
                m.d.comb += [
                    pair.lines.eq(Cat(*entry) & (~zero).replicate(4)),
                    pair.negate.eq(code[2]),
                ]
            (a_plus, a_minus), (b_plus, b_minus) = singles
            a_zero, b_zero = ~(a_plus | a_minus), ~(b_plus | b_minus)
            pair = self.selections[first // 2 * 3 + 2]
            # a, b - a, b, a + b; b gives the sign, or a where b is zero.
            alike, unlike = a_plus & b_plus | a_minus & b_minus, a_plus & b_minus | a_minus & b_plus
            m.d.comb += [
                pair.lines.eq(Cat(b_zero & ~a_zero, unlike, a_zero & ~b_zero, alike)),
                pair.negate.eq(b_minus | (a_minus & b_zero)),
            ]
        return m


class Lane(Unit):
    """One element of the output tile.

    tables: the row's tables of this step; selections: the column's; enable: take them;
    clear: start from zero; shift: double the accumulator first (a new plane).
    Cycle contract: psum holds the sum one cycle after enable.
    """

    suffix = "lane"

    def ports(self) -> dict[str, Any]:
        return {
            "tables": In(self.layouts.row_tables),
            "selections": In(self.layouts.selections),
            "enable": In(1),
            "clear": In(1),
            "shift": In(1),
            "psum": Out(signed(self.config.psum_bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        # -x = ~x + 1: every term brings a one, and every adder takes one as its carry. An odd sum
        # 2 t + 1 becomes -(2 t + 1) = 2 ~t + 1, which needs none.
        terms, carries = [], []
        for group in range(c.groups_per_step):
            lines, negate = self._selection(group)
            # AND-OR selection: as small as a multiplexer tree or smaller, and simulates faster.
            entry = Signal(c.table_bits, name=f"entry_{group}")
            choices = [
                self.tables[group].entries[i].as_unsigned() & line.replicate(c.table_bits)
                for i, line in enumerate(lines)
            ]
            m.d.comb += entry.eq(balanced(choices, or_))
            terms.append(entry ^ negate.replicate(c.table_bits))
            carries.append(negate & ~self.tables[group].odd if c.table_digits == 2 else negate)

        def join(a: Value, b: Value) -> Value:
            width = max(len(a), len(b))
            total = Signal(unsigned(width + 2), name=f"sum_{len(carries)}")
            m.d.comb += total.eq(Cat(Const(1, 1), a) + Cat(carries.pop(), b))
            return total[1:]

        step = self._signed_sum(terms, join)
        base = Signal(signed(c.psum_bits))
        psum = Signal(signed(c.psum_bits), reset_less=True, name="accumulator")
        m.d.comb += self.psum.eq(psum)
        # With one plane a shift comes only with a clear.
        doubled = Mux(self.shift, psum << 1, psum) if c.weight_bits > 1 else psum
        m.d.comb += base.eq(Mux(self.clear, 0, doubled))
        extended = Cat(step, step[-1].replicate(c.psum_bits - len(step)))
        with m.If(self.enable):
            m.d.sync += psum.eq(join(base.as_unsigned(), extended))
        return m

    def _selection(self, group: int) -> tuple[list[Value], Value]:
        """One line per entry, and whether to negate."""
        selection = self.selections[group]
        if self.config.table_digits == 3:
            return list(selection.lines), selection.negate
        index, negate = selection[:-1], selection[-1]
        # Yosys would write "== 0" as a logical not of a vector, which lints.
        lines = [index == i if i else ~index.any() for i in range(self.config.entries)]
        return lines, negate

    def _signed_sum(self, terms: list[Value], join: Callable[[Value, Value], Value]) -> Value:
        """The sum of two's complement terms, with the carries of `join`, one of which remains.

        Inverting sign bits adds 2^(t-1) to each, so that the tree is unsigned and extends no sign.
        """
        if len(terms) == 1:
            return terms[0]
        total = balanced([Cat(term[:-1], ~term[-1]) for term in terms], join)
        low = self.config.table_bits - 1
        high = total[low:] - len(terms)
        return Cat(total[:low], high[: _signed_bits(len(terms))])


def _signed_bits(count: int) -> int:
    """Bits of a sum of `count` terms above those that a term has below its sign."""
    return (count - 1).bit_length() + 1


class LookupArray(Unit):
    """m * n lanes that share m rows of tables and n columns of codes, and m activation sums.

    Cycle contract: a step is taken in a cycle in which a table and a weight beat are both valid;
    one cycle after the last step of a pass the psums are valid, and the next pass begins in the
    cycle in which they move. Without back-pressure there is no idle cycle between passes.
    """

    suffix = "lookup"

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.lane = Lane(config, top)
        self.decoder = Decoder(config, top)
        decoders = [self.decoder] if config.table_digits == 3 else []
        super().__init__(config, top, *decoders, self.lane)

    def ports(self) -> dict[str, Any]:
        return {
            "i_tables": In(self.layouts.signature("tables")),
            "i_weights": In(self.layouts.signature("weights")),
            "o_psums": Out(self.layouts.signature("psums")),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        tables, weights, psums = self.i_tables, self.i_weights, self.o_psums
        control = tables.payload.control
        free, step = Signal(), Signal()
        m.d.comb += [
            free.eq(~psums.valid | psums.ready),
            tables.ready.eq(weights.valid & free),
            weights.ready.eq(tables.valid & free),
            step.eq(tables.valid & weights.valid & free),
        ]
        for column in range(c.n):
            selections = weights.payload[column]
            if c.table_digits == 3:
                selections = Signal(self.layouts.selections, name=f"selections_{column}")
                m.submodules[f"decoder_{column}"] = self.decoder.place(
                    codes=weights.payload[column], selections=selections
                )
            for row in range(c.m):
                m.submodules[f"lane_{row}_{column}"] = self.lane.place(
                    tables=tables.payload.rows[row],
                    selections=selections,
                    enable=step,
                    clear=control.clear,
                    shift=control.shift,
                    psum=psums.payload.columns[column][row],
                )
        for row in range(c.m):
            self._row_sums(m, row, step)
        with m.If(free):
            m.d.sync += psums.valid.eq(step & control.end)
        scaling = Signal(self.layouts.scaling, reset_less=True)
        m.d.comb += psums.payload.scaling.eq(scaling)
        with m.If(step & control.end):
            m.d.sync += scaling.eq(tables.payload.scaling)
        return m

    def _row_sums(self, m: Module, row: int, step: Value) -> None:
        """The sum of the row's activations, for zero points, and that of the low bits of sums."""
        c = self.config
        tables, control = self.i_tables.payload.rows[row], self.i_tables.payload.control
        psums = self.o_psums.payload
        binary = c.table_digits == 2
        # The all-ones entry of every table sums its activations.
        ones: list[Value] = []
        for table in (tables[group] for group in range(c.groups_per_step)):
            entry = table.entries[c.entries - 1]
            ones.append(Cat(table.odd, entry).as_signed() if binary else entry)
        total = Signal(signed(c.sum_bits), reset_less=True, name=f"sum_{row}")
        m.d.comb += psums.sums[row].eq(total)
        with m.If(step):
            m.d.sync += total.eq(Mux(control.restart_sum, 0, total) + balanced(ones, add))
        if binary:
            odd = Signal(c.odd_bits, reset_less=True, name=f"odd_{row}")
            low_bits: list[Value] = [tables[group].odd for group in range(c.groups_per_step)]
            doubled = Mux(control.shift, odd << 1, odd) if c.weight_bits > 1 else odd
            m.d.comb += psums.odds[row].eq(odd)
            with m.If(step):
                m.d.sync += odd.eq(Mux(control.clear, 0, doubled) + balanced(low_bits, add))
