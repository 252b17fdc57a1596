"""Tables: half of the signed sums of every lookup group, exact, and held for all lanes.

Source: paper section 3 (table symmetry, table quantisation); docs/specification.md, "Tables".
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .unit import Unit

__all__ = ["Entries", "Table"]


class Entries(Unit):
    """The entries of one table. Combinational.

    values: g aligned activations. Sum d is x_(g-1) + sum of (+x_i if bit i of d else -x_i); all
    sums of a group are odd or all are even. table: `odd` is that bit, entry d the rest of sum d.
    Pairs of binary digits have the sums over subsets x_0, x_1, x_0 + x_1 as entries, ternary tables
    the sums x_0, x_1 - x_0, x_1, x_1 + x_0; neither has `odd`.
    """

    suffix = "entries"
    clocked = False

    def ports(self) -> dict[str, Any]:
        c = self.config
        values = data.ArrayLayout(signed(c.aligned_bits), c.lookup_group)
        return {"values": In(values), "table": Out(self.layouts.table)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        totals = (
            self._subset_sums()
            if c.subsets
            else self._ternary_sums()
            if c.table_digits == 3
            else self._binary_sums(m)
        )
        for index, value in enumerate(totals):
            total = Signal(signed(c.total_bits), name=f"sum_{index}")
            m.d.comb += [
                total.eq(value),
                self.table.entries[index].eq(total[c.total_bits - c.table_bits :]),
            ]
        if c.parity:
            m.d.comb += self.table.odd.eq(Cat(value[0] for value in self.values).xor())
        return m

    def _subset_sums(self) -> list[Value]:
        low, high = self.values
        return [low, high, low + high]

    def _ternary_sums(self) -> list[Value]:
        low, high = self.values
        return [low, high - low, high, high + low]

    def _binary_sums(self, m: Module) -> list[Value]:
        # The sums of the lower and the upper half of the group are shared by all entries.
        half = self.config.lookup_group // 2
        values = [self.values[i] for i in range(self.config.lookup_group)]
        lower = self._half_sums(m, "lower", values[:half])
        upper = self._half_sums(m, "upper", values[half:])
        mask = len(lower) - 1
        totals: list[Value] = []
        for entry in range(self.config.entries):
            low, high = entry & (2 * mask + 1), entry >> half
            positive = low >> (half - 1)
            totals.append(
                upper[high] + lower[low & mask] if positive else upper[high] - lower[~low & mask]
            )
        return totals

    def _half_sums(self, m: Module, name: str, values: list[Value]) -> list[Signal]:
        """Sums with the last value positive: entry d adds value i where bit i of d is set."""
        sums = [values[-1]]
        for value in values[:-1]:
            sums = [s - value for s in sums] + [s + value for s in sums]
        held: list[Signal] = []
        for index, value in enumerate(sums):
            signal = Signal(value.shape(), name=f"{name}_{index}")
            m.d.comb += signal.eq(value)
            held.append(signal)
        return held


class Table(Unit):
    """The registers that hold the tables of a step while all lanes read them.

    Cycle contract: one step a cycle, latency 1; tables stay until `o_tables` has moved.
    """

    suffix = "table"

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.entries = Entries(config, top)
        super().__init__(config, top, self.entries)

    def ports(self) -> dict[str, Any]:
        return {
            "i_steps": In(self.layouts.signature("steps")),
            "o_tables": Out(self.layouts.signature("tables")),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        steps, tables = self.i_steps, self.o_tables
        g = c.lookup_group
        rows = Signal(self.layouts.tables["rows"].shape)
        for row in range(c.m):
            values = Value.cast(steps.payload.values[row])
            for group in range(c.groups_per_step):
                m.submodules[f"entries_{row}_{group}"] = self.entries.place(
                    values=values.word_select(group, g * c.aligned_bits),
                    table=rows[row][group],
                )
        m.d.comb += steps.ready.eq(~tables.valid | tables.ready)
        with m.If(steps.ready):
            m.d.sync += tables.valid.eq(steps.valid)
        held = Signal(self.layouts.tables, reset_less=True)
        m.d.comb += tables.payload.eq(held)
        with m.If(steps.ready & steps.valid):
            m.d.sync += [
                held.rows.eq(rows),
                held.control.eq(steps.payload.control),
                held.scaling.eq(steps.payload.scaling),
            ]
        return m
