"""`AxiReader`: the read half of a memory port on the read channels of AXI4."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from lutcore.unit import BaseUnit

from .bursts import Bursts
from .bus import BURST_INCR, CACHE_NORMAL
from .parameters import AxiParameters
from .queue import Queue

__all__ = ["AxiReader"]


class AxiReader(BaseUnit):
    """Reads of any length as INCR bursts, several in flight, their beats in order.

    i_reads, o_read_data  as in `lutcore.memory_port`; a beat with SLVERR or DECERR has `error`
    m_axi_ar*, m_axi_r*   bursts of up to max_beats inside aligned blocks of max_beats (4 KiB at
                          most); the ID is 0; lengths and RLAST of the slave are believed
    i_flush               soft reset: reads not on the bus are dropped, beats that still come are
                          swallowed; hold it until `o_idle`
    o_idle                nothing is in flight

    Cycle contract: ARVALID one cycle after its read was taken, a burst a cycle while less than
    `outstanding` are in flight; a beat appears one cycle after it was taken from the bus, one in
    every cycle. All outputs to the bus depend on registers only. `i_reads.ready` follows ARREADY.
    """

    suffix = "reader"

    def __init__(self, parameters: AxiParameters, top: str) -> None:
        self.parameters = parameters
        self.bursts = Bursts(parameters, top)
        # For every burst in flight: whether it ends its read.
        self.ends = Queue(1, parameters.outstanding, top)
        self.beats = Queue(parameters.port.read_data, 2, top)
        super().__init__(top, self.bursts, self.ends, self.beats)

    def ports(self) -> dict[str, Any]:
        port = self.parameters.port
        return {
            "i_reads": In(stream.Signature(port.request)),
            "o_read_data": Out(stream.Signature(port.read_data)),
            "i_flush": In(1),
            "o_idle": Out(1),
            **self.parameters.read_bus.ports("m_axi"),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        port = self.parameters.port
        bursts = self.bursts.signature.members["o_bursts"].signature.create(path=("bursts",))
        m.submodules.bursts = self.bursts.place(
            i_requests=self.i_reads,
            i_offered=self.m_axi_arvalid,
            i_flush=self.i_flush,
            o_bursts=bursts,
        )
        ends_in, ends = self.ends.joined(m, "ends")
        beats_in, beats = self.beats.joined(m, "beats")
        m.d.comb += [
            # Once room in the queue shows a burst, only that burst can fill it: ARVALID stays.
            self.m_axi_arvalid.eq(bursts.valid & ends_in.ready),
            self.m_axi_araddr.eq(bursts.payload.address),
            self.m_axi_arlen.eq(bursts.payload.beats),
            self.m_axi_arsize.eq(port.offset_bits),
            self.m_axi_arburst.eq(BURST_INCR),
            self.m_axi_arcache.eq(CACHE_NORMAL),
            bursts.ready.eq(ends_in.ready & self.m_axi_arready),
            ends_in.valid.eq(bursts.valid & self.m_axi_arready),
            ends_in.payload.eq(bursts.payload.last),
            self.m_axi_rready.eq(beats_in.ready),
            beats_in.valid.eq(self.m_axi_rvalid),
            beats_in.payload.data.eq(self.m_axi_rdata),
            beats_in.payload.last.eq(self.m_axi_rlast & ends.payload),
            beats_in.payload.error.eq(self.m_axi_rresp[1]),
            ends.ready.eq(self.m_axi_rvalid & self.m_axi_rready & self.m_axi_rlast),
            self.o_read_data.payload.eq(beats.payload),
            self.o_read_data.valid.eq(beats.valid & ~self.i_flush),
            beats.ready.eq(self.o_read_data.ready | self.i_flush),
            self.o_idle.eq(~bursts.valid & ~ends.valid & ~beats.valid),
        ]
        return m
