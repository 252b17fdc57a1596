"""Epilogue of a pass: zero point, block and weight scale, FP32 accumulation over the passes.

Shared in time: m * rescale_columns fused multiply-adds serve all m * n lanes.
Source: docs/specification.md, "Rescale".
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .fma import Fma
from .streams import index_bits
from .unit import Unit

__all__ = ["Rescale"]


class Rescale(Unit):
    """Takes the psums of a pass at once, then rescales `rescale_columns` columns a cycle.

    Cycle contract: a pass occupies the unit for `period` = max(N/R, 3) cycles in which scales are
    valid; it takes the next psums with the last of its N/R scales, so passes of `period` steps or
    more never wait. An output beat of the last pass appears `latency` cycles after its scales. If
    `o_outputs` is not taken, all stops.
    """

    suffix = "rescale"
    latency = 4

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.fma = Fma(config, top)
        super().__init__(config, top, self.fma)

    def ports(self) -> dict[str, Any]:
        return {
            "i_psums": In(self.layouts.signature("psums")),
            "i_scales": In(self.layouts.signature("scales")),
            "o_outputs": Out(self.layouts.signature("outputs")),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        psums, scales, outputs = self.i_psums, self.i_scales, self.o_outputs
        index_width = index_bits(c.column_groups)

        # The psums wait in a shift register; its low columns are next.
        waiting = Signal(self.layouts.psums, reset_less=True)
        busy, index, last_index = Signal(), Signal(index_width), Signal()
        moves, hazard, enter = Signal(), Signal(), Signal()
        m.d.comb += [
            last_index.eq(index == c.column_groups - 1),
            moves.eq(~outputs.valid | outputs.ready),
            scales.ready.eq(busy & moves & ~hazard),
            enter.eq(scales.ready & scales.valid),
            psums.ready.eq(~busy | (enter & last_index)),
        ]
        with m.If(enter):
            column_bits = c.m * c.psum_bits * c.rescale_columns
            m.d.sync += [
                Value.cast(waiting.columns).eq(Value.cast(waiting.columns) >> column_bits),
                index.eq(Mux(last_index, 0, index + 1)),
                busy.eq(~last_index),
            ]
        with m.If(psums.ready & psums.valid):
            m.d.sync += [waiting.eq(psums.payload), busy.eq(1)]

        # Three stages of the multiply-add; the accumulators are read for the third.
        kind = waiting.scaling.kind
        valid = [Signal(name=f"valid_{i}") for i in (1, 2, 3)]
        indices = [Signal(index_width, name=f"index_{i}", reset_less=True) for i in (1, 2, 3)]
        kinds = [Signal(self.layouts.kind, name=f"kind_{i}", reset_less=True) for i in (1, 2, 3)]
        with m.If(moves):
            for held, source in zip(valid, [enter, *valid], strict=False):
                m.d.sync += held.eq(source)
            for held, source in zip(indices, [index, *indices], strict=False):
                m.d.sync += held.eq(source)
            for held, source in zip(kinds, [kind, *kinds], strict=False):
                m.d.sync += held.eq(source)
        if c.column_groups <= 2:
            # The accumulator of these columns may still be on its way to memory.
            busy_stages = [v & (i == index) for v, i in zip(valid[:2], indices[:2], strict=True)]
            m.d.comb += hazard.eq(busy_stages[0] | busy_stages[1])

        m.submodules.accumulators = accumulators = memory.Memory(
            shape=self.layouts.outputs, depth=1 << index_width, init=[]
        )
        read, write = accumulators.read_port(domain="sync"), accumulators.write_port()
        results = Signal(self.layouts.outputs)
        m.d.comb += [
            read.en.eq(moves),
            read.addr.eq(indices[0]),
            write.en.eq(moves & valid[2]),
            write.addr.eq(indices[2]),
            write.data.eq(results),
        ]
        for column in range(c.rescale_columns):
            for row in range(c.m):
                zero = Signal(signed(c.zero_bits), name=f"zero_{column}_{row}")
                difference = Signal(signed(c.difference_bits), name=f"difference_{column}_{row}")
                addend = Signal(32, name=f"addend_{column}_{row}")
                m.d.comb += [
                    zero.eq(scales.payload[column].zero),
                    difference.eq(waiting.columns[column][row] - zero * waiting.sums[row]),
                    addend.eq(Mux(kinds[1].first, 0, read.data[column][row])),
                ]
                m.submodules[f"fma_{row}_{column}"] = self.fma.place(
                    enable=moves,
                    difference=difference,
                    scale=scales.payload[column].scale,
                    exponent=waiting.scaling.exponents[row],
                    nonfinite=waiting.scaling.nonfinite[row],
                    raw=kind.raw,
                    addend=addend,
                    result=results[column][row],
                )
        with m.If(moves):
            m.d.sync += outputs.valid.eq(valid[2] & kinds[2].last)
        emitted = Signal(self.layouts.outputs, reset_less=True)
        m.d.comb += outputs.payload.eq(emitted)
        with m.If(moves & valid[2] & kinds[2].last):
            m.d.sync += emitted.eq(results)
        return m
