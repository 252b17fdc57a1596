"""Sums of bits as full adders, and products as such sums.

Columns are reduced three bits at a time until one is left, which takes the fewest adders: n (n - 2)
full and n half adders for a product of n bits. A flow's own multipliers take more: Booth's recoding
spares partial products, but a selected one costs more than the AND and the full adder that it
replaces where the library has a small full-adder cell.

Such cells often give both outputs inverted, and a full adder of inverted bits gives inverted
results. So bits are added in company of their own polarity, and hardly an inverter is left between
adders; partial products and half adders' results come in either polarity at no cost.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, Value

__all__ = ["columns_sum", "product"]

Bit = tuple[Value, int | None]
"""A bit and its polarity: 0 or 1, None if either would do."""


def _three(column: list[Bit]) -> tuple[list[Bit], int]:
    """Takes the next three bits from a column, and gives their polarity."""

    def fitting(polarity: int) -> list[int]:
        own = [i for i, (_, other) in enumerate(column) if other == polarity]
        free = [i for i, (_, other) in enumerate(column) if other is None]
        return (own + free)[:3]

    polarity = max((0, 1), key=lambda p: (len(fitting(p)), sum(o == p for _, o in column)))
    chosen = fitting(polarity)
    chosen += [i for i in range(len(column)) if i not in chosen][: 3 - len(chosen)]
    bits = [column[i] for i in chosen]
    column[:] = [bit for i, bit in enumerate(column) if i not in chosen]
    return bits, polarity


def columns_sum(m: Module, columns: list[list[Value]], name: str) -> Value:
    """The sum of columns[i] bits of weight 2^i, modulo 2^len(columns), as adders in `m`."""
    waiting: list[list[Bit]] = [[(bit, None) for bit in column] for column in columns]
    total: list[Value] = []
    for place, column in enumerate(waiting):
        count = 0
        while len(column) > 1:
            added = Signal(2, name=f"{name}_{place}_{count}")
            polarity = None
            if len(column) == 2:
                (x, _), (y, _) = column
                column.clear()
                m.d.comb += added.eq(x + y)
            else:
                bits, own = _three(column)
                polarity = 1 - own
                # Three bits in one expression become one full adder.
                m.d.comb += added.eq(bits[0][0] + bits[1][0] + bits[2][0])
            column.append((added[0], polarity))
            if place + 1 < len(waiting):
                waiting[place + 1].append((added[1], polarity))
            count += 1
        total.append(column[0][0] if column else Const(0, 1))
    return Cat(*total)


def product(m: Module, a: Value, b: Value, name: str = "sum") -> Value:
    """a * b, unsigned and exact."""
    columns: list[list[Value]] = [[] for _ in range(len(a) + len(b))]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            columns[i + j].append(x & y)
    return columns_sum(m, columns, name)
