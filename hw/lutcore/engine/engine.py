"""The engine: sequencer, mover, buffers, readers and feeder around a core.

i_start -> sequencer -> o_status        mover <-> memory port
              |  moves ------------------^ |
              |  runs -> reader a, w, s <- buffers a, w, s
              |            |  |  |
              +-> feeder -> tensor core -> feeder -> buffer d -> mover
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from lutcore.axi.registers import COUNTERS
from lutcore.core import TensorCore
from lutcore.formats import FP32
from lutcore.lmma.config import EngineConfig
from lutcore.lmma.encoding import WORD_BITS

from .buffer import Buffer, Reader
from .feeder import Feeder
from .mover import Mover
from .sequencer import Sequencer
from .unit import EngineUnit

__all__ = ["Engine"]


class Engine(EngineUnit):
    """Executes LMMA programs from a memory behind a memory port.

    i_start       where the program lies, how long it is, and how large memory is; the program
                  begins at an aligned address, and has 1 to program_words instructions
    o_status      one for each start, when all is quiet again
    o_reads, i_read_data, o_writes, o_write_data, i_write_done: `lutcore.memory_port`

    count_NAME    high in the cycles that `lutcore.axi.registers.COUNTERS` counts

    Reads are requested when no write is unanswered, and the other way round. After an error from
    memory the engine stops with `bus`, and stops so again until it is reset.
    """

    suffix = ""

    def __init__(self, config: EngineConfig, top: str = "lut_engine") -> None:
        core = config.core
        self.core = TensorCore(core, f"{top}_core")
        self.sequencer = Sequencer(config, top)
        self.mover = Mover(config, top)
        self.feeder = Feeder(config, top)
        layouts = self.sequencer.layouts
        self.readers = {name: Reader(config, top, name) for name in layouts.loads}
        self.buffers = {
            name: Buffer(
                config,
                top,
                name,
                layouts.beats[name].size,
                layouts.depths[name],
                core.m if name in ("a", "c") else 1,
                layouts.banks(name),
            )
            for name in layouts.loads
        }
        self.buffers["d"] = Buffer(config, top, "d", layouts.core.outputs.size, core.column_groups)
        self.buffers["program"] = Buffer(
            config, top, "program", WORD_BITS, -(-config.program_words // 2)
        )
        super().__init__(
            config,
            top,
            self.core,
            self.sequencer,
            self.mover,
            self.feeder,
            *self.readers.values(),
            *self.buffers.values(),
        )

    def ports(self) -> dict[str, Any]:
        lay = self.layouts
        return {
            "i_start": In(stream.Signature(lay.start)),
            "o_status": Out(stream.Signature(lay.status)),
            **lay.memory_streams(),
            **{f"count_{name}": Out(1) for name in COUNTERS},
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lay = self.layouts

        def between(name: str, layout: Any) -> Any:
            return stream.Signature(layout).create(path=(name,))

        def wires(unit: EngineUnit, prefix: str) -> dict[str, Any]:
            """A signal for every port of a unit that is no stream."""
            return {
                name: Signal(member.shape, name=f"{prefix}_{name}")
                for name, member in unit.signature.members.items()
                if member.is_port
            }

        moves, runs, tiles = (
            between("moves", lay.move),
            between("runs", lay.run),
            between("tiles", 1),
        )
        read_runs = {name: between(f"runs_{name}", lay.reading[name]) for name in lay.loads}
        passes, outputs = (
            between("passes", lay.core.passes),
            between("outputs", lay.core.outputs),
        )
        beats = {name: between(f"beats_{name}", lay.beats[name]) for name in lay.loads}
        sequencer, mover, feeder = (
            wires(unit, unit.suffix) for unit in (self.sequencer, self.mover, self.feeder)
        )
        buffers = {name: wires(unit, f"buffer_{name}") for name, unit in self.buffers.items()}
        readers = {name: wires(unit, f"reader_{name}") for name, unit in self.readers.items()}
        for name, buffer in self.buffers.items():
            m.submodules[f"buffer_{name}"] = buffer.place(**buffers[name])
        for place, (name, reader) in enumerate(self.readers.items()):
            m.submodules[f"reader_{name}"] = reader.place(
                i_runs=read_runs[name], o_beats=beats[name], **readers[name]
            )
            m.d.comb += [
                buffers[name]["read_enable"].eq(readers[name]["read_enable"]),
                buffers[name]["read_address"].eq(readers[name]["read_address"]),
                readers[name]["read_data"].eq(self._beat(name, buffers[name]["read_data"])),
                readers[name]["begin"].eq(sequencer["begin"][place]),
                readers[name]["begin_slot"].eq(sequencer["begin_slot"]),
                readers[name]["written"].eq(mover["written"][place]),
                readers[name]["written_slot"].eq(mover["item_slot"]),
                readers[name]["two"].eq(mover["two"]),
            ]
        m.submodules.sequencer = self.sequencer.place(
            i_start=self.i_start,
            o_status=self.o_status,
            o_moves=moves,
            o_runs=runs,
            o_tiles=tiles,
            **{f"o_{name}": read_runs[name] for name in lay.loads},
            **sequencer,
        )
        m.submodules.mover = self.mover.place(
            i_moves=moves,
            **{name: getattr(self, name) for name in lay.memory_streams()},
            **mover,
        )
        m.submodules.feeder = self.feeder.place(
            i_runs=runs, o_passes=passes, i_tiles=tiles, i_outputs=outputs, **feeder
        )
        m.submodules.core = self.core.place(
            i_passes=passes,
            i_activations=beats["a"],
            i_weights=beats["w"],
            i_scales=beats["s"],
            **({"i_addends": beats["c"]} if self.config.core.addends else {}),
            o_outputs=outputs,
        )
        for name in (*lay.loads, "program"):
            depth = self.buffers[name].address_bits
            index, slot = mover["item_index"], mover["item_slot"]
            address = index if name == "program" else Cat(index[: depth - 1], slot)
            m.d.comb += [
                buffers[name]["write"].eq(mover[f"write_{name}"]),
                buffers[name]["write_address"].eq(address),
                buffers[name]["write_data"].eq(mover[f"data_{name}"]),
            ]
        m.d.comb += [
            buffers["program"]["read_enable"].eq(sequencer["fetch_enable"]),
            buffers["program"]["read_address"].eq(sequencer["fetch_address"]),
            sequencer["fetch_data"].eq(buffers["program"]["read_data"]),
            buffers["d"]["write"].eq(feeder["write"]),
            buffers["d"]["write_address"].eq(feeder["write_address"]),
            buffers["d"]["write_data"].eq(feeder["write_data"]),
            buffers["d"]["read_enable"].eq(mover["read_enable"]),
            buffers["d"]["read_address"].eq(mover["read_address"]),
            mover["read_data"].eq(buffers["d"]["read_data"]),
            sequencer["read"].eq(Cat(readers[name]["done"] for name in lay.loads)),
            sequencer["read_slot"].eq(Cat(readers[name]["done_slot"] for name in lay.loads)),
            sequencer["loaded"].eq(mover["loaded"]),
            sequencer["stored"].eq(mover["stored"]),
            sequencer["move_slot"].eq(mover["done_slot"]),
            sequencer["filled"].eq(feeder["filled"]),
            sequencer["filled_slot"].eq(feeder["filled_slot"]),
            *(
                sequencer[name].eq(mover[name])
                for name in ("idle", "error", "error_at", "read_words", "written_words")
            ),
        ]
        # Lanes have work as long as there are weights for them, unless these wait for something
        # else that is not loaded yet.
        waiting = Cat(readers[name]["waits"] for name in lay.loads).any() & ~beats["w"].ready
        idle = sequencer["busy"] & ~sequencer["loading"] & (~beats["w"].valid | waiting)
        causes = {"a": "activations", "w": "weights", "s": "scales", "c": "addends"}
        counted = {
            "busy": sequencer["busy"],
            "tiles": feeder["filled"],
            "stall_fetch": sequencer["loading"],
            **{
                f"stall_{causes[name]}": idle & mover["moving"][place]
                for place, name in enumerate(lay.loads)
            },
            "stall_results": idle & mover["moving"][-1],
        }
        m.d.comb += [getattr(self, f"count_{name}").eq(line) for name, line in counted.items()]
        return m

    def _beat(self, name: str, held: Signal) -> Value:
        """What a buffer holds as a beat of the core: C is written by row, and a beat has columns of
        rows."""
        if name != "c":
            return held
        core = self.config.core
        return Cat(
            held.word_select(row * core.rescale_columns + column, FP32.bits)
            for column in range(core.rescale_columns)
            for row in range(core.m)
        )
