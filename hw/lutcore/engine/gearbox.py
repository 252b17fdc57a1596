"""From pieces of some widths to pieces of other widths."""

from __future__ import annotations

from functools import reduce
from math import gcd
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from lutcore.lmma.config import EngineConfig

from .unit import EngineUnit

__all__ = ["Gearbox"]


class Gearbox(EngineUnit):
    """A stream of bits, in pieces of one of `sources` bits in and of one of `sinks` bits out.

    source, sink: which of the widths; they change only with `clear`, which drops what is held.
    flush: a last piece of fewer bits may be taken. piece, valid, ready: as in a stream, but bits
    above the width are not defined in, and are 0 or of the pieces that follow out.
    Cycle contract: a piece in and a piece out in every cycle in which there is room, counting what
    leaves, and enough; i_ready follows o_ready.
    """

    def __init__(
        self, config: EngineConfig, top: str, name: str, sources: list[int], sinks: list[int]
    ) -> None:
        self.suffix = f"gearbox_{name}"  # type: ignore[misc]
        self.sources, self.sinks = sources, sinks
        # Everything is counted in the largest unit of which all widths are multiples.
        self.unit = reduce(gcd, sources + sinks)
        self.units = (max(sources) + max(sinks)) // self.unit
        super().__init__(config, top)

    def ports(self) -> dict[str, Any]:
        return {
            "clear": In(1),
            "flush": In(1),
            "source": In(range(max(2, len(self.sources)))),
            "sink": In(range(max(2, len(self.sinks)))),
            "i_piece": In(max(self.sources)),
            "i_valid": In(1),
            "i_ready": Out(1),
            "o_piece": Out(max(self.sinks)),
            "o_valid": Out(1),
            "o_ready": In(1),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        unit, units = self.unit, self.units
        held = Signal(units * unit, reset_less=True)
        count, left = Signal(range(units + 1)), Signal(range(units + 1))
        piece = Signal(max(self.sources))
        put, take = Signal(), Signal()

        def chosen(widths: list[int], which: Value) -> Value:
            found: Value = Const(widths[0] // unit, range(units + 1))
            for index, width in enumerate(widths[1:], 1):
                found = Mux(which == index, Const(width // unit, range(units + 1)), found)
            return found

        size_in, size_out = chosen(self.sources, self.source), chosen(self.sinks, self.sink)
        m.d.comb += [
            self.o_valid.eq((count >= size_out) | (self.flush & (count != 0))),
            self.o_piece.eq(held),
            take.eq(self.o_valid & self.o_ready),
            left.eq(count - Mux(take, Mux(count >= size_out, size_out, count), 0)),
            self.i_ready.eq(left <= units - size_in),
            put.eq(self.i_valid & self.i_ready),
        ]
        m.d.comb += piece.eq(self.i_piece)
        for index, width in enumerate(self.sources):
            if width < max(self.sources):
                with m.If(self.source == index):
                    m.d.comb += piece.eq(self.i_piece[:width])
        kept = Signal(units * unit)
        m.d.comb += kept.eq(held)
        for index, width in enumerate(self.sinks):
            with m.If(take & (self.sink == index)):
                m.d.comb += kept.eq(held >> width)
        placed = Signal(units * unit)
        # A shift by whole units: one multiplexer a bit and place of the count.
        stages: Value = piece
        for place in range(len(left)):
            moved = (stages << (unit << place))[: units * unit]
            stages = Mux(left[place], moved, stages)
        m.d.comb += placed.eq(stages)
        m.d.sync += [
            held.eq(kept | Mux(put, placed, 0)),
            count.eq(left + Mux(put, size_in, 0)),
        ]
        with m.If(self.clear):
            m.d.sync += [count.eq(0), held.eq(0)]
        return m
