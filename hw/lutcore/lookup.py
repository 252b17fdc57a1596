"""The lanes: select an entry, negate it conditionally, add the groups of a step, accumulate.

    weights -> decoder -> lane <- tables

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
    """A column's codes to one line per table entry, once for all rows. Combinational.

    codes: as docs/specification.md folds them; selections: per lookup group the line of an entry,
    or none for zero, and `negate`. take: the step is taken, and without it nothing is selected; not
    with `config.lane_enable`.
    """

    suffix = "decoder"
    clocked = False

    def ports(self) -> dict[str, Any]:
        return {
            "codes": In(self.layouts.codes),
            **({} if self.config.lane_enable else {"take": In(1)}),
            "selections": Out(self.layouts.selections),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.config.table_digits == 3:
            for first in range(0, len(self.codes), 2):
                self._ternary(m, first)
            return m
        for code, selection in zip(self.codes, self.selections, strict=True):
            if self.config.subsets:
                # Digits (+1, -1), (-1, +1), (+1, +1) of a pair; nothing for (-1, -1).
                places = (0b10, 0b00, 0b01)
            else:
                places = range(self.config.entries)
                m.d.comb += selection.negate.eq(code[-1] & self.taken)
                code = code[:-1]  # noqa: PLW2901
            m.d.comb += selection.lines.eq(Cat(self._line(code, place) for place in places))
        return m

    @property
    def taken(self) -> Value:
        """Whether something is selected."""
        return Const(1, 1) if self.config.lane_enable else self.take

    def _line(self, code: Value, place: int) -> Value:
        bits = (code[i] if place >> i & 1 else ~code[i] for i in range(len(code)))
        return Cat(*bits, self.taken).all()

    def _ternary(self, m: Module, first: int) -> None:
        singles: list[tuple[Value, Value]] = []
        for place in range(2):
            code = self.codes[first + place]
            zero, plus, minus = (
                Signal(name=f"{name}_{first + place}") for name in ("zero", "plus", "minus")
            )
            m.d.comb += [
                zero.eq(code[3] & code[4]),
                plus.eq(self.taken & Mux(zero, code[0], code[3])),
                minus.eq(self.taken & Mux(zero, code[1], code[4])),
            ]
            singles.append((plus, minus))
            low, high = code[0], code[1]
            entry = (~low & ~high, low & ~high, ~low & high, low & high)
            pair = self.selections[first // 2 * 3 + place]
            m.d.comb += [
                pair.lines.eq(Cat(*entry) & (self.taken & ~zero).replicate(4)),
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


class Lane(Unit):
    """One element of the output tile.

    tables: the row's tables of this step; selections: the column's; keep: add to the accumulator;
    shift: add to twice the accumulator (a new plane); neither: start from zero.
    Cycle contract: psum holds the sum one cycle later. A cycle without selections and with `keep`
    changes nothing, so that a lane needs no enable; with `config.lane_enable` it has one.
    """

    suffix = "lane"

    def ports(self) -> dict[str, Any]:
        return {
            "tables": In(self.layouts.row_tables),
            "selections": In(self.layouts.selections),
            "keep": In(1),
            "shift": In(1),
            **({"enable": In(1)} if self.config.lane_enable else {}),
            "psum": Out(signed(self.config.psum_bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        # -x = ~x + 1: every term brings a one, and every adder takes one as its carry. An odd sum
        # 2 t + 1 becomes -(2 t + 1) = 2 ~t + 1, which needs none.
        terms, carries = [], []
        for group, selection in enumerate(self.selections):
            # AND-OR selection: as small as a multiplexer tree or smaller, and simulates faster.
            entry = Signal(c.table_bits, name=f"entry_{group}")
            choices = [
                self.tables[group].entries[i].as_unsigned() & line.replicate(c.table_bits)
                for i, line in enumerate(selection.lines)
            ]
            m.d.comb += entry.eq(balanced(choices, or_))
            if c.subsets:
                terms.append(entry)
            else:
                terms.append(entry ^ selection.negate.replicate(c.table_bits))
                odd = self.tables[group].odd if c.parity else Const(0, 1)
                carries.append(selection.negate & ~odd)

        def join(a: Value, b: Value) -> Value:
            if not carries:
                return a + b
            width = max(len(a), len(b))
            total = Signal(unsigned(width + 2), name=f"sum_{len(carries)}")
            m.d.comb += total.eq(Cat(Const(1, 1), a) + Cat(carries.pop(), b))
            return total[1:]

        base = Signal(c.psum_bits)
        psum = Signal(signed(c.psum_bits), reset_less=True, name="accumulator")
        kept = psum.as_unsigned() & self.keep.replicate(c.psum_bits)
        doubled = (psum << 1)[: c.psum_bits] & self.shift.replicate(c.psum_bits)
        m.d.comb += [
            self.psum.eq(psum),
            # With one plane nothing is ever doubled.
            base.eq(kept | doubled if c.weight_bits > 1 else kept),
        ]
        if carries:
            step = self._signed_sum(terms, join)
            sign = step[-1].replicate(max(0, c.psum_bits - len(step)))
            total = join(base, Cat(step, sign)[: c.psum_bits])
        else:
            # One sum of all, so that only one carry runs through it.
            total = base + self._unsigned_sum(terms, add) - self._excess(terms)
        with m.If(self.enable if c.lane_enable else 1):
            m.d.sync += psum.eq(total)
        return m

    def _excess(self, terms: list[Value]) -> int:
        """What `_unsigned_sum` is too large by."""
        return len(terms) << (self.config.table_bits - 1)

    def _unsigned_sum(self, terms: list[Value], join: Callable[[Value, Value], Value]) -> Value:
        """The sum of two's complement terms and `_excess`.

        Inverting sign bits adds 2^(t-1) to each, so that the tree is unsigned and extends no sign.
        """
        return balanced([Cat(term[:-1], ~term[-1]) for term in terms], join)

    def _signed_sum(self, terms: list[Value], join: Callable[[Value, Value], Value]) -> Value:
        """The sum of two's complement terms, with the carries of `join`, one of which remains."""
        if len(terms) == 1:
            return terms[0]
        total = self._unsigned_sum(terms, join)
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
    cycle in which they move. Without back-pressure there is no idle cycle between passes. With
    `pipeline` weight beats move into a register first, each a step ahead of its table.
    """

    suffix = "lookup"

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.lane = Lane(config, top)
        self.decoder = Decoder(config, top)
        super().__init__(config, top, self.decoder, self.lane)

    def ports(self) -> dict[str, Any]:
        return {
            "i_tables": In(self.layouts.signature("tables")),
            "i_weights": In(self.layouts.signature("weights")),
            "o_psums": Out(self.layouts.signature("psums")),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        tables, psums = self.i_tables, self.o_psums
        # Held in front of the decoders: codes are fewer than lines.
        weights = self.held(m, "weights", self.i_weights) if c.pipeline else self.i_weights
        control = tables.payload.control
        free, step, keep, shift = Signal(), Signal(), Signal(), Signal()
        taken = Const(1, 1) if c.lane_enable else step
        m.d.comb += [
            keep.eq(~(taken & (control.clear | control.shift))),
            shift.eq(taken & control.shift & ~control.clear),
            free.eq(~psums.valid | psums.ready),
            tables.ready.eq(weights.valid & free),
            weights.ready.eq(tables.valid & free),
            step.eq(tables.valid & weights.valid & free),
        ]
        for column in range(c.n):
            selections = Signal(self.layouts.selections, name=f"selections_{column}")
            m.submodules[f"decoder_{column}"] = self.decoder.place(
                codes=weights.payload[column],
                selections=selections,
                **({} if c.lane_enable else {"take": step}),
            )
            for row in range(c.m):
                m.submodules[f"lane_{row}_{column}"] = self.lane.place(
                    tables=tables.payload.rows[row],
                    selections=selections,
                    keep=keep,
                    shift=shift,
                    **({"enable": step} if c.lane_enable else {}),
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
        # The all-ones entry of every table sums its activations.
        ones: list[Value] = []
        for table in (tables[group] for group in range(c.groups_per_step)):
            entry = table.entries[c.entries - 1]
            ones.append(Cat(table.odd, entry).as_signed() if c.parity else entry)
        total = Signal(signed(c.sum_bits), reset_less=True, name=f"sum_{row}")
        m.d.comb += psums.sums[row].eq(total)
        with m.If(step):
            m.d.sync += total.eq(Mux(control.restart_sum, 0, total) + balanced(ones, add))
        if c.parity:
            odd = Signal(c.odd_bits, reset_less=True, name=f"odd_{row}")
            low_bits: list[Value] = [tables[group].odd for group in range(c.groups_per_step)]
            doubled = Mux(control.shift, odd << 1, odd) if c.weight_bits > 1 else odd
            m.d.comb += psums.odds[row].eq(odd)
            with m.If(step):
                m.d.sync += odd.eq(Mux(control.clear, 0, doubled) + balanced(low_bits, add))
