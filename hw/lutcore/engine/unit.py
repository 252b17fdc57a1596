"""What the units of the engine share: their base, payload layouts, and short queues."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from lutcore.formats import FP32
from lutcore.lmma.config import EngineConfig
from lutcore.lmma.encoding import WORD_BITS, Cause
from lutcore.memory_port import MemoryPort
from lutcore.streams import StreamLayouts, index_bits
from lutcore.unit import BaseUnit

__all__ = ["COUNTERS", "EngineLayouts", "EngineUnit", "queued"]

COUNTERS = ("cycles", "instructions", "tiles", "passes", "steps", "words_read", "words_written")
"""What the status counts, 32 bits each, from start to stop."""


class EngineLayouts:
    """The payload layouts of an engine's streams, first field lowest, and its memory port, `port`.

    start     program: byte address of the program; count: its instructions; limit: bytes of memory
    status    cause and index of the instruction at which the program stopped, and counters
    move      what the mover does for an instruction
    reading   a run of beats of a buffer
    run       passes of the core

    `loads` names the buffers that are loaded. `widths` has the bits of an item of each in memory,
    by the code of a move's `width`, and `pairs` those of which a word holds two: they are moved two
    at a time into the two banks of their buffer.
    """

    def __init__(self, config: EngineConfig) -> None:
        c = config
        self.core = StreamLayouts(c.core)
        self.index_bits = index_bits(c.program_words)
        # A row at most, and the program.
        self.words_bits = max(
            c.words(c.row_bytes(c.a_steps, c.core.activation_bits)),
            c.words(c.w_beats * c.core.weight_beat_bytes),
            c.words(c.s_beats * c.scale_beat_bytes),
            c.words(c.core.n * (FP32.bits if c.core.addends else c.output_bits) // 8),
            c.words(c.program_words * 16),
        ).bit_length()
        self.depths = {"a": c.a_steps, "w": c.w_beats, "s": c.s_beats}
        self.items_bits = max(*self.depths.values(), c.core.n, c.program_words).bit_length()
        self.beats = {"a": self.core.activations, "w": self.core.weights, "s": self.core.scales}
        if c.core.addends:
            self.depths["c"], self.beats["c"] = c.core.column_groups, self.core.addends
        self.loads = tuple(self.depths)
        self.widths = {
            "a": [c.core.k * bits for bits in (4, 8, 16) if bits <= c.core.activation_bits],
            "w": [8 * c.core.weight_beat_bytes >> part for part in range(c.weight_halvings + 1)],
            "s": [8 * c.scale_beat_bytes],
            "c": [c.core.rescale_columns * FP32.bits],
            "program": [WORD_BITS],
        }
        self.pairs = {
            name: [code for code, bits in enumerate(self.widths[name]) if 2 * bits <= c.word_bits]
            for name in ("a", "w")
        }
        address = c.address_bits
        self.start = data.StructLayout(
            {"program": address, "count": self.index_bits + 1, "limit": address + 1}
        )
        self.status = data.StructLayout(
            {
                "cause": max(Cause).bit_length(),
                "at": self.index_bits + 1,
                **dict.fromkeys(COUNTERS, 32),
            }
        )
        self.port = MemoryPort(
            data_bits=c.word_bits, address_bits=address, length_bits=self.words_bits
        )
        self.move = data.StructLayout(
            {
                # One of: load of a, w, s, c; the program; store.
                **dict.fromkeys((*self.loads, "program", "store"), 1),
                "slot": 1,
                "width": 2,
                "address": address,
                "stride": 32,
                "rows": index_bits(c.core.m),  # less 1
                "words": self.words_bits,  # of a row
                "items": self.items_bits,  # of a row; of c and of a store its columns
                "at": self.index_bits,
            }
        )
        self.reading = {
            name: data.StructLayout(
                {"slot": 1, "start": index_bits(depth), "count": depth.bit_length()}
            )
            for name, depth in self.depths.items()
        }
        self.run = data.StructLayout({"descriptor": self.core.passes, "passes": 12})

    def banks(self, name: str) -> int:
        """Banks of buffer a, w, s, c or d."""
        return 2 if self.pairs.get(name) else 1

    def memory_streams(self) -> dict[str, Any]:
        """The streams of the memory port, as a unit that uses it has them."""
        port = self.port
        return {
            "o_reads": Out(stream.Signature(port.request)),
            "i_read_data": In(stream.Signature(port.read_data)),
            "o_writes": Out(stream.Signature(port.request)),
            "o_write_data": Out(stream.Signature(port.write_data)),
            "i_write_done": In(stream.Signature(port.write_done)),
        }

    def address(self, name: str) -> int:
        """Bits of the address of both slots of buffer a, w, s or d."""
        depths = {**self.depths, "d": 0}
        return 1 + index_bits(depths[name])


class EngineUnit(BaseUnit):
    """Base of the units of the engine."""

    def __init__(self, config: EngineConfig, top: str, *children: BaseUnit) -> None:
        self.config = config
        self.layouts = EngineLayouts(config)
        super().__init__(top, *children)


def queued(m: Module, name: str, source: Any, depth: int = 2) -> Any:
    """The stream `source` through a queue of registers, `depth` deep; ready does not depend on the
    other side."""
    layout = source.payload.shape()
    sink = stream.Signature(layout).create(path=(name,))
    level = Signal(range(depth + 1), name=f"{name}_level")
    entries = [Signal(layout, name=f"{name}_{i}", reset_less=True) for i in range(depth)]
    push, pop = Signal(name=f"{name}_push"), Signal(name=f"{name}_pop")
    m.d.comb += [
        source.ready.eq(level != depth),
        sink.valid.eq(level != 0),
        sink.payload.eq(entries[0]),
        push.eq(source.valid & source.ready),
        pop.eq(sink.valid & sink.ready),
    ]
    m.d.sync += level.eq(level + push - pop)
    for i, entry in enumerate(entries):
        with m.If(push & (level - pop == i)):
            m.d.sync += entry.eq(source.payload)
        if i + 1 < depth:
            with m.Elif(pop):
                m.d.sync += entry.eq(entries[i + 1])
    return sink
