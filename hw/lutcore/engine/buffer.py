"""Buffers of operands and results, and what reads them in runs of beats."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import In, Out

from lutcore.lmma.config import EngineConfig
from lutcore.streams import index_bits

from .unit import EngineUnit

__all__ = ["Buffer", "Reader"]


class Buffer(EngineUnit):
    """A memory of two slots with a port to write and a port to read, nothing else.

    write: one enable for each of `parts` equal parts of a beat. With two banks a beat at an even
    address is written together with the one after it, which has further enables and data of its
    own. read_data: one cycle after read_enable, and held until the next.
    """

    def __init__(
        self,
        config: EngineConfig,
        top: str,
        name: str,
        bits: int,
        depth: int,
        parts: int = 1,
        banks: int = 1,
    ) -> None:
        self.suffix = f"buffer_{name}"  # type: ignore[misc]
        self.bits, self.parts, self.banks = bits, parts, banks
        self.address_bits = 1 + index_bits(depth)
        super().__init__(config, top)

    def ports(self) -> dict[str, Any]:
        return {
            "write": In(self.parts * self.banks),
            "write_address": In(self.address_bits),
            "write_data": In(self.bits * self.banks),
            "read_enable": In(1),
            "read_address": In(self.address_bits),
            "read_data": Out(self.bits),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = data.ArrayLayout(self.bits // self.parts, self.parts)
        index = self.banks - 1  # bits of an address that are the bank
        found = []
        for bank in range(self.banks):
            name = "memory" if self.banks == 1 else f"memory_{bank}"
            m.submodules[name] = store = memory.Memory(
                shape=shape, depth=1 << (self.address_bits - index), init=[]
            )
            write, read = store.write_port(granularity=1), store.read_port(domain="sync")
            here = self.read_address[0] == bank if index else Const(1, 1)
            m.d.comb += [
                write.en.eq(self.write.word_select(bank, self.parts)),
                write.addr.eq(self.write_address[index:]),
                Value.cast(write.data).eq(self.write_data.word_select(bank, self.bits)),
                read.en.eq(self.read_enable & here),
                read.addr.eq(self.read_address[index:]),
            ]
            found.append(Value.cast(read.data))
        m.d.comb += self.read_data.eq(found[0])
        if index:
            odd = Signal()
            with m.If(self.read_enable):
                m.d.sync += odd.eq(self.read_address[0])
            with m.If(odd):
                m.d.comb += self.read_data.eq(found[1])
        return m


class Reader(EngineUnit):
    """Runs of beats of a buffer as a stream, while it is being loaded.

    begin: slot `begin_slot` is to be loaded, and holds nothing until then; written: a beat more of
    slot `written_slot` is there in the next cycle, or two.
    Cycle contract: a beat a cycle where it is there, runs without a gap between them. `done` is up
    for a cycle when the last beat of a run, of slot `done_slot`, is read: the buffer may change
    from then on. `waits` is up while there is no beat because the next is not loaded.
    """

    def __init__(self, config: EngineConfig, top: str, name: str) -> None:
        self.suffix = f"reader_{name}"  # type: ignore[misc]
        self.name = name
        super().__init__(config, top)

    def ports(self) -> dict[str, Any]:
        beat = self.layouts.beats[self.name]
        return {
            "i_runs": In(stream.Signature(self.layouts.reading[self.name])),
            "o_beats": Out(stream.Signature(beat)),
            "read_enable": Out(1),
            "read_address": Out(self.layouts.address(self.name)),
            "read_data": In(beat.size),
            "begin": In(1),
            "begin_slot": In(1),
            "written": In(1),
            "written_slot": In(1),
            "two": In(1),
            "waits": Out(1),
            "done": Out(1),
            "done_slot": Out(1),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        runs, beats = self.i_runs, self.o_beats
        active, fetched, moves, fetch = Signal(), Signal(), Signal(), Signal()
        run = Signal(self.layouts.reading[self.name], reset_less=True)
        last = run.count == 1
        there = [Signal(run.count.shape(), name=f"there_{i}") for i in range(2)]
        for i, count in enumerate(there):
            with m.If(self.begin & (self.begin_slot == i)):
                m.d.sync += count.eq(0)
            with m.Elif(self.written & (self.written_slot == i)):
                m.d.sync += count.eq(count + 1 + self.two)
        m.d.comb += [
            moves.eq(~fetched | beats.ready),
            fetch.eq(active & moves & (run.start < Mux(run.slot, there[1], there[0]))),
            self.read_enable.eq(fetch),
            self.read_address.eq(Cat(run.start, run.slot)),
            beats.valid.eq(fetched),
            Value.cast(beats.payload).eq(self.read_data),
            self.waits.eq(active & ~fetched & ~fetch),
            self.done.eq(fetch & last),
            self.done_slot.eq(run.slot),
            runs.ready.eq(~active | self.done),
        ]
        with m.If(moves):
            m.d.sync += fetched.eq(fetch)
        with m.If(fetch):
            m.d.sync += [run.start.eq(run.start + 1), run.count.eq(run.count - 1)]
        with m.If(runs.ready):
            m.d.sync += [active.eq(runs.valid), run.eq(runs.payload)]
        return m
