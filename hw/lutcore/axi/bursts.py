"""`Bursts`: cuts the requests of a memory port into AXI4 bursts."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from lutcore.unit import BaseUnit

from .parameters import AxiParameters

__all__ = ["Bursts"]


class Bursts(BaseUnit):
    """One request at a time; its bursts end where it ends or an aligned block of beats does.

    o_bursts   {address, beats - 1, last of its request}
    i_offered  the bus shows the burst: it must go through
    i_flush    what is not offered is dropped, and nothing is taken

    Cycle contract: the first burst is valid one cycle after its request was taken, and then one in
    every cycle, also from request to request: `i_requests.ready` follows `o_bursts.ready`.
    """

    suffix = "bursts"

    def __init__(self, parameters: AxiParameters, top: str) -> None:
        self.parameters = parameters
        super().__init__(top)

    @property
    def burst(self) -> data.StructLayout:
        """Payload of `o_bursts`."""
        return data.StructLayout(
            {"address": self.parameters.port.address_bits, "beats": 8, "last": 1}
        )

    def ports(self) -> dict[str, Any]:
        return {
            "i_requests": In(stream.Signature(self.parameters.port.request)),
            "i_offered": In(1),
            "i_flush": In(1),
            "o_bursts": Out(stream.Signature(self.burst)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        port = self.parameters.port
        requests, bursts = self.i_requests, self.o_bursts
        address = Signal(port.address_bits - port.offset_bits, reset_less=True)
        beats = Signal(port.length_bits, reset_less=True)
        # The low bits of an address in beats are its place in a block.
        last_place = self.parameters.block_beats - 1
        room = (~address & last_place)[: max(1, last_place.bit_length())]
        busy, last, moves = Signal(), Signal(), Signal()
        m.d.comb += [
            last.eq(beats <= room),
            moves.eq(busy & bursts.ready),
            requests.ready.eq(~self.i_flush & (~busy | (moves & last))),
            bursts.valid.eq(busy),
            bursts.payload.address.eq(Cat(Const(0, port.offset_bits), address)),
            bursts.payload.beats.eq(Mux(last, beats, room)),
            bursts.payload.last.eq(last),
        ]
        with m.If(moves):
            m.d.sync += [
                busy.eq(~last & ~self.i_flush),
                address.eq((address | last_place) + 1),
                beats.eq(beats - room - 1),
            ]
        with m.Elif(self.i_flush & ~self.i_offered):
            m.d.sync += busy.eq(0)
        with m.If(requests.valid & requests.ready):
            m.d.sync += [
                busy.eq(1),
                address.eq(requests.payload.address[port.offset_bits :]),
                beats.eq(requests.payload.beats),
            ]
        return m
