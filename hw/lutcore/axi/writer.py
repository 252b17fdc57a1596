"""`AxiWriter`: the write half of a memory port on the write channels of AXI4."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from lutcore.streams import index_bits
from lutcore.unit import BaseUnit

from .bursts import Bursts
from .bus import BURST_INCR, CACHE_NORMAL
from .parameters import AxiParameters
from .queue import Queue

__all__ = ["AxiWriter"]


class AxiWriter(BaseUnit):
    """Writes of any length as INCR bursts, several in flight, one response a write.

    i_writes, i_write_data, o_write_done  as in `lutcore.memory_port`; `error` if any burst of the
                                          write was answered SLVERR or DECERR
    m_axi_aw*, m_axi_w*, m_axi_b*         bursts of up to max_beats inside aligned blocks of
                                          max_beats (4 KiB at most); the ID is 0
    i_flush                               soft reset: writes not on the bus are dropped, bursts on
                                          it end with beats without strobes, responses are
                                          swallowed; hold it until `o_idle`
    o_idle                                nothing is in flight

    Cycle contract: AWVALID one cycle after its write was taken, a burst a cycle, up to two ahead of
    the data and while less than `outstanding` are in flight. The first beat is taken two cycles
    after the write or later, whether or not AWREADY came, and is on the bus one cycle later; then
    one in every cycle. `o_write_done` one cycle after the last response. All outputs to the bus
    depend on registers only. `i_writes.ready` follows AWREADY, `i_write_data.ready` WREADY.
    """

    suffix = "writer"

    def __init__(self, parameters: AxiParameters, top: str) -> None:
        self.parameters = parameters
        self.bursts = Bursts(parameters, top)
        # Of bursts whose data is due: beats - 1. For every burst in flight: whether it ends its
        # write. Then whether that write failed.
        self.lengths = Queue((parameters.block_beats - 1).bit_length() or 1, 2, top)
        self.ends = Queue(1, parameters.outstanding, top)
        self.results = Queue(parameters.port.write_done, 2, top)
        super().__init__(top, self.bursts, self.lengths, self.ends, self.results)

    def ports(self) -> dict[str, Any]:
        port = self.parameters.port
        return {
            "i_writes": In(stream.Signature(port.request)),
            "i_write_data": In(stream.Signature(port.write_data)),
            "o_write_done": Out(stream.Signature(port.write_done)),
            "i_flush": In(1),
            "o_idle": Out(1),
            **self.parameters.write_bus.ports("m_axi"),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        port = self.parameters.port
        bursts = self.bursts.signature.members["o_bursts"].signature.create(path=("bursts",))
        lengths_in, lengths = self.lengths.joined(m, "lengths")
        ends_in, ends = self.ends.joined(m, "ends")
        results_in, results = self.results.joined(m, "results")
        m.submodules.bursts = self.bursts.place(
            i_requests=self.i_writes,
            i_offered=self.m_axi_awvalid,
            i_flush=self.i_flush,
            o_bursts=bursts,
        )

        # A slave may wait for data before it takes the address: what follows the burst starts when
        # the burst is shown.
        shown, show = Signal(), Signal()
        m.d.comb += [
            show.eq(bursts.valid & ~shown & lengths_in.ready & ends_in.ready),
            self.m_axi_awvalid.eq(shown | show),
            self.m_axi_awaddr.eq(bursts.payload.address),
            self.m_axi_awlen.eq(bursts.payload.beats),
            self.m_axi_awsize.eq(port.offset_bits),
            self.m_axi_awburst.eq(BURST_INCR),
            self.m_axi_awcache.eq(CACHE_NORMAL),
            bursts.ready.eq(self.m_axi_awvalid & self.m_axi_awready),
            lengths_in.valid.eq(show),
            lengths_in.payload.eq(bursts.payload.beats),
            ends_in.valid.eq(show),
            ends_in.payload.eq(bursts.payload.last),
        ]
        m.d.sync += shown.eq(self.m_axi_awvalid & ~self.m_axi_awready)

        free, take, last = Signal(), Signal(), Signal()
        beat = Signal(index_bits(self.parameters.block_beats))
        written = Signal(port.write_data, reset_less=True)
        written_last = Signal(reset_less=True)
        m.d.comb += [
            free.eq(lengths.valid & (~self.m_axi_wvalid | self.m_axi_wready)),
            self.i_write_data.ready.eq(free & ~self.i_flush),
            take.eq(free & (self.i_write_data.valid | self.i_flush)),
            last.eq(beat == lengths.payload),
            lengths.ready.eq(take & last),
            self.m_axi_wdata.eq(written.data),
            self.m_axi_wstrb.eq(written.strobe),
            self.m_axi_wlast.eq(written_last),
        ]
        with m.If(take):
            m.d.sync += [
                self.m_axi_wvalid.eq(1),
                written.data.eq(self.i_write_data.payload.data),
                written.strobe.eq(Mux(self.i_flush, 0, self.i_write_data.payload.strobe)),
                written_last.eq(last),
                beat.eq(Mux(last, 0, beat + 1)),
            ]
        with m.Elif(self.m_axi_wready):
            m.d.sync += self.m_axi_wvalid.eq(0)

        failed, answered = Signal(), Signal()
        m.d.comb += [
            self.m_axi_bready.eq(results_in.ready),
            answered.eq(self.m_axi_bvalid & self.m_axi_bready),
            ends.ready.eq(answered),
            results_in.valid.eq(self.m_axi_bvalid & ends.payload),
            results_in.payload.error.eq(failed | self.m_axi_bresp[1]),
            self.o_write_done.payload.eq(results.payload),
            self.o_write_done.valid.eq(results.valid & ~self.i_flush),
            results.ready.eq(self.o_write_done.ready | self.i_flush),
        ]
        with m.If(answered):
            m.d.sync += failed.eq(~ends.payload & results_in.payload.error)
        with m.If(self.i_flush):
            m.d.sync += failed.eq(0)

        m.d.comb += self.o_idle.eq(
            ~(bursts.valid | lengths.valid | self.m_axi_wvalid | ends.valid | results.valid)
        )
        return m
