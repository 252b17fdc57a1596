"""`Queue`: a short first-in first-out buffer whose outputs come from registers alone."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import memory, stream
from amaranth.lib.wiring import In, Out

from lutcore.streams import index_bits
from lutcore.unit import BaseUnit

__all__ = ["Queue"]


class Queue(BaseUnit):
    """Holds up to `depth` payloads of a shape.

    Cycle contract: a payload leaves one cycle after it came at the earliest; with a depth of 2 or
    more one enters and one leaves in every cycle. `i.ready` and `o.valid` depend on registers only,
    so that a queue of two cuts every combinational path between its sides.
    """

    def __init__(self, shape: Any, depth: int, top: str) -> None:
        self.shape, self.depth = shape, depth
        self.suffix = f"queue_{Shape.cast(shape).width}x{depth}"  # type: ignore[misc]
        super().__init__(top)

    def ports(self) -> dict[str, Any]:
        return {
            "i": In(stream.Signature(self.shape)),
            "o": Out(stream.Signature(self.shape)),
        }

    def joined(self, m: Module, name: str) -> tuple[Any, Any]:
        """The streams into and out of the queue, which becomes submodule `name` of m."""
        i, o = (
            self.signature.members[side].signature.create(path=(f"{name}_{side}",)) for side in "io"
        )
        m.submodules[name] = self.place(i=i, o=o)
        return i, o

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Verilog has no address of no bits.
        depth = max(2, self.depth)
        m.submodules.slots = slots = memory.Memory(shape=self.shape, depth=depth, init=[])
        write, read = slots.write_port(), slots.read_port(domain="comb")
        level = Signal(range(self.depth + 1))
        put, get = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(level != self.depth),
            self.o.valid.eq(level != 0),
            self.o.payload.eq(read.data),
            put.eq(self.i.valid & self.i.ready),
            get.eq(self.o.valid & self.o.ready),
            write.en.eq(put),
            write.data.eq(self.i.payload),
        ]
        m.d.sync += level.eq(level + put - get)
        for name, port, moves in (("back", write, put), ("front", read, get)):
            index = Signal(index_bits(self.depth), name=name)
            m.d.comb += port.addr.eq(index)
            with m.If(moves):
                m.d.sync += index.eq(Mux(index == self.depth - 1, 0, index + 1))
        return m
