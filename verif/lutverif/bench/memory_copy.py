"""`MemoryCopy`: the smallest engine on a memory port, for benches."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from lutcore.axi import AxiMaster, AxiParameters
from lutcore.unit import BaseUnit

__all__ = ["MemoryCopy"]


class MemoryCopy(BaseUnit):
    """Copies beats + 1 beats from `source` to `target`, then says whether one had an error.

    One block at a time. A beat that is read with an error is not written.
    """

    suffix = ""

    def __init__(self, parameters: AxiParameters, top: str = "memory_copy") -> None:
        self.parameters = parameters
        self.master = AxiMaster(parameters, f"{top}_master")
        super().__init__(top, self.master)

    def ports(self) -> dict[str, Any]:
        """The members of the signature."""
        port = self.parameters.port
        address = port.address_bits
        copy = data.StructLayout({"source": address, "target": address, "beats": port.length_bits})
        return {
            "i_copies": In(stream.Signature(copy)),
            "o_done": Out(stream.Signature(port.write_done)),
            "o_idle": Out(1),
            **self.parameters.bus.ports("m_axi"),
        }

    def elaborate(self, platform: object) -> Module:
        """The module."""
        m = Module()
        streams = {
            name: member.signature.create(path=(name,))
            for name, member in self.master.signature.members.items()
            if isinstance(member.signature if member.is_signature else None, stream.Signature)
        }
        m.submodules.master = self.master.place(
            **streams,
            i_flush=Const(0, 1),
            o_idle=self.o_idle,
            **self.parameters.bus.signals(self, "m_axi"),
        )
        reads, writes = streams["i_reads"], streams["i_writes"]
        read, written = streams["o_read_data"], streams["i_write_data"]
        done, copies = streams["o_write_done"], self.i_copies
        busy, read_due, write_due, failed = Signal(), Signal(), Signal(), Signal()
        copy = Signal.like(copies.payload)
        m.d.comb += [
            copies.ready.eq(~busy),
            reads.valid.eq(read_due),
            reads.payload.address.eq(copy.source),
            reads.payload.beats.eq(copy.beats),
            writes.valid.eq(write_due),
            writes.payload.address.eq(copy.target),
            writes.payload.beats.eq(copy.beats),
            written.valid.eq(read.valid),
            read.ready.eq(written.ready),
            written.payload.data.eq(read.payload.data),
            written.payload.strobe.eq(Mux(read.payload.error, 0, ~0)),
            self.o_done.valid.eq(done.valid),
            done.ready.eq(self.o_done.ready),
            self.o_done.payload.error.eq(failed | done.payload.error),
        ]
        with m.If(reads.ready):
            m.d.sync += read_due.eq(0)
        with m.If(writes.ready):
            m.d.sync += write_due.eq(0)
        with m.If(read.valid & read.ready & read.payload.error):
            m.d.sync += failed.eq(1)
        with m.If(done.valid & done.ready):
            m.d.sync += busy.eq(0)
        with m.If(copies.valid & copies.ready):
            m.d.sync += [
                busy.eq(1),
                read_due.eq(1),
                write_due.eq(1),
                failed.eq(0),
                copy.eq(copies.payload),
            ]
        return m
