"""`Columns`: bits by their weight, summed by full adders into one number.

A full adder takes three bits of a column and leaves one there and one in the next, so that all
orders need about as many. The earliest bits go first, which keeps the tree shallow, until two rows
are left; these are a sum like any other, so that a flow may choose how its carry goes.
"""

from __future__ import annotations

from bisect import insort
from itertools import count

from amaranth.hdl import Cat, Const, Module, Signal, Value

__all__ = ["Columns"]


class Columns:
    """A sum modulo 2^width of bits, each with a weight of 2^place."""

    def __init__(self, m: Module, width: int) -> None:
        self.width = width
        self.full_adders = 0
        self._m = m
        # When each bit is there, in delays of a carry, and the bit.
        self._bits: list[list[tuple[int, Value]]] = [[] for _ in range(width)]
        self._constant = 0
        self._names = count()

    def add(self, place: int, bits: Value) -> None:
        """Add an unsigned number times 2^place."""
        for index in range(min(len(bits), self.width - place)):
            self._bits[place + index].append((0, bits[index]))

    def add_signed(self, place: int, bits: Value) -> None:
        """Add a two's complement number: its sign bit, inverted, and a constant for it."""
        self.add(place, Cat(bits[:-1], ~bits[-1]))
        self.add_constant(-1 << (place + len(bits) - 1))

    def add_constant(self, value: int) -> None:
        """Add a number that is known now; all of them make one row of bits."""
        self._constant += value

    def rows(self) -> tuple[list[Value], list[Value]]:
        """Two numbers with this sum, bit by bit; nothing can be added after it."""
        rows: tuple[list[Value], list[Value]] = ([], [])
        carried = False
        for place, column in enumerate(self._bits):
            if self._constant >> place & 1:
                column.append((0, Const(1, 1)))
            column.sort(key=lambda bit: bit[0])
            while len(column) > 2:
                inputs, column = column[:3], column[3:]
                ready = inputs[-1][0]
                pair = Signal(2, name=f"adder_{next(self._names)}")
                self._m.d.comb += pair.eq(sum((bit for _, bit in inputs[1:]), inputs[0][1]))
                self.full_adders += 1
                insort(column, (ready + 2, pair[0]), key=lambda bit: bit[0])
                if place + 1 < self.width:
                    self._bits[place + 1].append((ready + 1, pair[1]))
            self.full_adders += len(column) == 2 and carried
            carried |= len(column) == 2
            for row, bit in zip(rows, [bit for _, bit in column] + 2 * [Const(0, 1)], strict=False):
                row.append(bit)
        return rows

    def total(self) -> Value:
        """The sum; nothing can be added after it."""
        x, y = self.rows()
        return (Cat(*x) + Cat(*y))[: self.width]
