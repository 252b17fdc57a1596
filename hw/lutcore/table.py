"""Tables: half of the signed sums of every lookup group, rounded to `table_bits` and held.

Source: paper section 3 (table symmetry, table quantisation); docs/specification.md, "Tables".
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .unit import Unit

__all__ = ["Entries", "Table"]


class Entries(Unit):
    """The entries of one table. Combinational.

    values: g aligned activations in guard units; entries: entry d is
    RNE((x_(g-1) + sum of (+x_i if bit i of d else -x_i)) / 2^guard), or for ternary digits
    x_0, x_1 - x_0, x_1, x_1 + x_0, rounded alike. Pairs of binary digits: what the digits (+1, -1),
    (-1, +1), (+1, +1) have more than (-1, -1), or half of that where nothing is rounded.
    """

    suffix = "entries"
    clocked = False

    def ports(self) -> dict[str, Any]:
        c = self.config
        values = data.ArrayLayout(signed(c.aligned_bits), c.lookup_group)
        return {"values": In(values), "entries": Out(self.layouts.row_tables.elem_shape)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        if c.halved:
            low, high = self.values
            m.d.comb += [
                self.entries[0].eq(low),
                self.entries[1].eq(high),
                self.entries[2].eq(low + high),
            ]
            return m
        totals = self._ternary_sums() if c.table_digits == 3 else self._binary_sums(m)
        entries: list[Value] = []
        for index, value in enumerate(totals):
            total = Signal(signed(c.table_bits + c.guard), name=f"sum_{index}")
            m.d.comb += total.eq(value)
            entries.append(self._round(total))
        if c.subsets:
            difference, total = (entry[: c.table_bits].as_signed() for entry in entries)
            entries = [total - difference, total + difference, total << 1]
        m.d.comb += [held.eq(entry) for held, entry in zip(self.entries, entries, strict=True)]
        return m

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

    def _round(self, total: Signal) -> Value:
        """total / 2^guard to nearest, ties to even; never overflows, by the choice of E."""
        guard = self.config.guard
        if guard == 0:
            return total
        floor = total[guard:].as_signed()
        rest = total[: guard - 1].any() if guard > 1 else 0
        return floor + (total[guard - 1] & (rest | total[guard]))


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
                    entries=rows[row][group],
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
