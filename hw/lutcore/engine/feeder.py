"""Passes to the core, one after the other, and its results into the buffer D."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from lutcore.streams import index_bits

from .unit import EngineUnit

__all__ = ["Feeder"]


class Feeder(EngineUnit):
    """Unfolds the passes of an lmma, and puts the results of a tile in its slot.

    Cycle contract: a pass a cycle, and a beat of results a cycle. `filled` is up for a cycle when
    the last results of a tile are on their way into slot `filled_slot`.
    """

    suffix = "feeder"

    def ports(self) -> dict[str, Any]:
        lay, core = self.layouts, self.config.core
        return {
            "i_runs": In(stream.Signature(lay.run)),
            "o_passes": Out(stream.Signature(lay.core.passes)),
            "i_tiles": In(stream.Signature(1)),
            "i_outputs": In(stream.Signature(lay.core.outputs)),
            "write": Out(1),
            "write_address": Out(1 + index_bits(core.column_groups)),
            "write_data": Out(lay.core.outputs.size),
            "filled": Out(1),
            "filled_slot": Out(1),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        runs, passes, tiles, outputs = self.i_runs, self.o_passes, self.i_tiles, self.i_outputs
        run = Signal(self.layouts.run, reset_less=True)
        active, begun = Signal(), Signal()
        last = run.passes == 0
        kind = run.descriptor.rescaling.kind
        m.d.comb += [
            passes.valid.eq(active),
            passes.payload.eq(run.descriptor),
            passes.payload.rescaling.kind.first.eq(kind.first & ~begun),
            passes.payload.rescaling.kind.last.eq(kind.last & last),
            runs.ready.eq(~active | (passes.ready & last)),
        ]
        with m.If(active & passes.ready):
            m.d.sync += [run.passes.eq(run.passes - 1), begun.eq(1)]
        with m.If(runs.ready):
            m.d.sync += [active.eq(runs.valid), run.eq(runs.payload), begun.eq(0)]

        groups = self.config.core.column_groups
        index = Signal(index_bits(groups))
        m.d.comb += [
            outputs.ready.eq(tiles.valid),
            self.write.eq(outputs.valid & outputs.ready),
            self.write_address.eq(Cat(index, tiles.payload)),
            self.write_data.eq(Value.cast(outputs.payload)),
            self.filled.eq(self.write & (index == groups - 1)),
            self.filled_slot.eq(tiles.payload),
            tiles.ready.eq(self.filled),
        ]
        with m.If(self.write):
            m.d.sync += index.eq(index + 1)
        with m.If(self.filled):
            m.d.sync += index.eq(0)
        return m
