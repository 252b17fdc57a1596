"""The lanes: select an entry, negate it conditionally, add the groups of a step, accumulate.

All integers, no multiplier. Planes come most significant first, so a lane shifts its accumulator
by one at the start of a plane and nothing else moves.
Source: paper section 3 (bit-serial lookup); docs/specification.md, "Lookup".
"""

from __future__ import annotations

from operator import add, or_
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .unit import Unit, balanced

__all__ = ["Lane", "LookupArray"]


class Lane(Unit):
    """One element of the output tile.

    tables: the row's tables of this step; codes: the column's folded codes; enable: take them;
    clear: start from zero; shift: double the accumulator first (a new plane).
    Cycle contract: psum holds the sum one cycle after enable.
    """

    suffix = "lane"

    def ports(self) -> dict[str, Any]:
        return {
            "tables": In(self.layouts.row_tables),
            "codes": In(self.layouts.codes),
            "enable": In(1),
            "clear": In(1),
            "shift": In(1),
            "psum": Out(signed(self.config.psum_bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        terms: list[Value] = []
        negations: list[Value] = []
        for group in range(c.groups_per_step):
            code = self.codes[group]
            index, negate = code[: c.lookup_group - 1], code[c.lookup_group - 1]
            # AND-OR selection: as small as a multiplexer tree or smaller, and simulates faster.
            entry = Signal(c.table_bits, name=f"entry_{group}")
            choices: list[Value] = []
            for i in range(c.entries):
                # Yosys would write "== 0" as a logical not of a vector, which lints.
                selected = index == i if i else ~index.any()
                choices.append(
                    self.tables[group][i].as_unsigned() & selected.replicate(c.table_bits)
                )
            m.d.comb += entry.eq(balanced(choices, or_))
            # -x = ~x + 1; the ones are added as carries.
            inverted = entry ^ negate.replicate(c.table_bits)
            terms.append(inverted.as_signed())
            negations.append(negate)
        base = Signal(signed(c.psum_bits))
        psum = Signal(signed(c.psum_bits), reset_less=True, name="accumulator")
        m.d.comb += self.psum.eq(psum)
        m.d.comb += base.eq(Mux(self.clear, 0, Mux(self.shift, psum << 1, psum)))
        with m.If(self.enable):
            m.d.sync += psum.eq(base + balanced(terms, add) + balanced(negations, add))
        return m


class LookupArray(Unit):
    """m * n lanes that share m rows of tables and n columns of codes, and m activation sums.

    Cycle contract: a step is taken in a cycle in which a table and a weight beat are both valid;
    one cycle after the last step of a pass the psums are valid, and the next pass begins in the
    cycle in which they move. Without back-pressure there is no idle cycle between passes.
    """

    suffix = "lookup"

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.lane = Lane(config, top)
        super().__init__(config, top, self.lane)

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
            for row in range(c.m):
                m.submodules[f"lane_{row}_{column}"] = self.lane.place(
                    tables=tables.payload.rows[row],
                    codes=weights.payload[column],
                    enable=step,
                    clear=control.clear,
                    shift=control.shift,
                    psum=psums.payload.columns[column][row],
                )
        # The all-ones entry of every table sums the activations: the zero point's factor.
        for row in range(c.m):
            ones = [tables.payload.rows[row][g][c.entries - 1] for g in range(c.groups_per_step)]
            total = Signal(signed(c.sum_bits), reset_less=True, name=f"sum_{row}")
            m.d.comb += psums.payload.sums[row].eq(total)
            with m.If(step):
                m.d.sync += total.eq(Mux(control.restart_sum, 0, total) + balanced(ones, add))
        with m.If(free):
            m.d.sync += psums.valid.eq(step & control.end)
        scaling = Signal(self.layouts.scaling, reset_less=True)
        m.d.comb += psums.payload.scaling.eq(scaling)
        with m.If(step & control.end):
            m.d.sync += scaling.eq(tables.payload.scaling)
        return m
