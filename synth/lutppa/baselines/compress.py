"""Sums of bits as full adders, and products as such sums.

Columns are reduced three bits at a time until one is left, which takes the fewest adders: n (n - 2)
full and n half adders for a product of n bits. A flow's own multipliers take more: Booth's recoding
spares partial products, but a selected one costs more than the AND and the full adder that it
replaces where the library has a small full-adder cell.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, Value

__all__ = ["columns_sum", "product"]


def columns_sum(m: Module, columns: list[list[Value]], name: str) -> Value:
    """The sum of columns[i] bits of weight 2^i, modulo 2^len(columns), as adders in `m`."""
    waiting = [list(column) for column in columns]
    total: list[Value] = []
    for place, column in enumerate(waiting):
        count = 0
        # First in, first out: bits that come late are added late.
        while len(column) > 1:
            bits, column[:3] = column[:3], []
            added = Signal(2, name=f"{name}_{place}_{count}")
            # Three bits in one expression become one full adder.
            m.d.comb += added.eq(bits[0] + bits[1] + (bits[2] if len(bits) > 2 else 0))
            column.append(added[0])
            if place + 1 < len(waiting):
                waiting[place + 1].append(added[1])
            count += 1
        total.append(column[0] if column else Const(0, 1))
    return Cat(*total)


def product(m: Module, a: Value, b: Value, name: str = "sum") -> Value:
    """a * b, unsigned and exact."""
    columns: list[list[Value]] = [[] for _ in range(len(a) + len(b))]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            columns[i + j].append(x & y)
    return columns_sum(m, columns, name)
