"""Bench of `EngineAxi` on cocotbext-axi: software's side as a driver has it, memory behind the bus.

The functional simulator says what a program leaves in memory, and why and where it stops.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from lutcore.axi.registers import COUNTERS
from lutcore.engine.axi import register_map
from lutcore.lmma.assembler import assemble, to_bytes
from lutcore.lmma.config import EngineConfig
from lutcore.lmma.encoding import Cause
from lutverif import lmma
from lutverif.engine_soak import CONFIGURATIONS, programs

from .axi_memory import SlaveMemory, channels, pauses
from .axi_runner import FAULTS, bench_settings

PERIOD_NS = 10
PROGRAMS = 60
START, SOFT_RESET, CLEAR = 1, 2, 4
DONE, ERROR = 1, 2
PATIENCE_CYCLES = 40_000
ADDENDS = 2560
"""Where the programs of a tile have theirs, between scales and results."""


class _End(NamedTuple):
    """How a program ended, as registers show it."""

    cause: Cause
    at: int
    events: int


class _System:
    """The engine between a driver and a memory."""

    def __init__(self, dut: Any, config: EngineConfig) -> None:
        self.dut, self.config = dut, config
        self.rng = random.Random(5)
        self.memory = SlaveMemory(dut, b"")
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        self.offsets = {item.name: item.offset for item in register_map(config).registers}
        cocotb.start_soon(Clock(dut.clk, PERIOD_NS, unit="ns").start())

    async def reset(self) -> None:
        """Two cycles of rst."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 2)
        self.dut.rst.value = 0
        await self.write(interrupt_enable=DONE | ERROR)

    def pause(self, rate: float) -> None:
        """All ten channels pause, at random."""
        self.memory.pause(self.rng, rate)
        for channel in channels(self.master):
            channel.clear_pause_generator()
            channel.pause = False
            if rate:
                channel.set_pause_generator(pauses(self.rng, rate * self.rng.random()))

    async def write(self, **values: int) -> None:
        """Registers by name; an address of two registers by its name alone."""
        for name, value in values.items():
            words = {name: value}
            if name not in self.offsets:
                words = {f"{name}_low": value & 0xFFFFFFFF, f"{name}_high": value >> 32}
            for register, word in words.items():
                if register in self.offsets:
                    done: Any = await self.master.write(
                        self.offsets[register], word.to_bytes(4, "little")
                    )
                    assert done.resp == AxiResp.OKAY

    async def read(self, register: str) -> int:
        """A register by name."""
        found: Any = await self.master.read(self.offsets[register], 4)
        assert found.resp == AxiResp.OKAY
        return int.from_bytes(found.data, "little")

    async def counters(self) -> dict[str, int]:
        """All counters."""
        return {
            name: await self.read(f"{name}_low") | await self.read(f"{name}_high") << 32
            for name in COUNTERS
        }

    async def start(self, base: int, length: int, limit: int = 0) -> None:
        """As a driver does."""
        await self.write(
            memory_limit=limit, program_base=base, program_length=length, control=START
        )
        # Nobody sees the end of the program before.
        assert await self.read("status") & 2 == 0 or int(self.dut.irq.value)

    async def end(self) -> _End:
        """Waits for the interrupt, and clears it."""
        if not int(self.dut.irq.value):
            await with_timeout(RisingEdge(self.dut.irq), PATIENCE_CYCLES * PERIOD_NS, "ns")
        status = await self.read("status")
        assert status & 3 == 2, f"status {status:#x} after the end"
        events = await self.read("interrupt_pending")
        await self.write(interrupt_pending=events)
        assert not int(self.dut.irq.value)
        fault = int(self.dut.fault.value)
        assert not fault, FAULTS[fault]
        return _End(Cause(status >> 8), await self.read("fault"), events)

    async def soft_reset(self) -> None:
        """Until all is quiet; nothing is left of what was before."""
        await self.write(control=SOFT_RESET)
        while (status := await self.read("status")) & 1:
            pass
        assert status == 0 and await self.read("fault") == 0
        await self.write(interrupt_pending=DONE | ERROR)

    async def run(self, source: str | list[int], limit: int = 0) -> _End:
        """Runs a program that is put behind what is in memory, which it may not change."""
        words = assemble(source) if isinstance(source, str) else source
        image, base = to_bytes(words), len(self.memory.content)
        self.memory.content += image + bytes(-len(image) % self.config.word_bytes)
        await self.start(base, len(words), limit)
        end = await self.end()
        assert self.memory.content[base : base + len(image)] == image
        del self.memory.content[base:]
        return end


async def _system(dut: Any) -> _System:
    system = _System(dut, CONFIGURATIONS[bench_settings()["engine"]])
    await system.reset()
    return system


@cocotb.test()
async def random_programs(dut: Any) -> None:
    """Status, index, events, tiles and all of memory are the simulator's; pauses on ten channels.

    Before every other program comes a soft reset while the same program runs.
    """
    system = await _system(dut)
    rng, memory = system.rng, system.memory
    for index, found in enumerate(programs(11, PROGRAMS, system.config)):
        system.pause((0.0, 0.5, 0.85)[index % 3])
        expected, size = found.memory.copy(), found.memory.size
        status, counters = lmma.run(found.words, expected, system.config)
        if index % 2:
            memory.content = bytearray(found.memory.tobytes() + to_bytes(found.words))
            memory.content += bytes(-len(memory.content) % system.config.word_bytes)
            await system.start(size, len(found.words), size)
            await ClockCycles(dut.clk, rng.randrange(20, 600))
        await system.soft_reset()
        memory.content = bytearray(found.memory.tobytes())
        await system.write(control=CLEAR)
        end = await system.run(found.words, size)
        events = DONE if status.cause is Cause.HALT else DONE | ERROR
        assert end == (*status, events), f"program {index}: {end}, not {status}"
        wrong = np.flatnonzero(np.frombuffer(memory.content, np.uint8) != expected)
        assert not len(wrong), f"program {index}: {len(wrong)} bytes from {wrong[0]:#x} on"
        assert await system.read("tiles_low") == counters.tiles


def _lmma(config: EngineConfig) -> str:
    core = config.core
    return f"lmma.m{core.m}n{core.n}k{core.k}.int8.w2.fp32.fp32"


def _tile(config: EngineConfig) -> str:
    """A tile of one pass with addends, every step of it complete before the next begins."""
    core = config.core
    return f"""set r0, 0
        set r1, 1024
        set r2, 2048
        set r3, 3072
        load.a.8 a0, r0, rows={core.m}, steps=4, stride=64
        fence
        load.w w0, r1, beats=8
        fence
        load.s s0, r2, beats={2 * core.column_groups}
        fence
        set r4, {ADDENDS}
        load.c c0, r4, rows={core.m}, columns={core.n}, stride=64
        fence
        {_lmma(config)} a0, w0, s0, d0, steps=4, first, last, addend=c0
        store.d.32 d0, r3, rows={core.m}, columns={core.n}, stride=64
        halt"""


def _early(config: EngineConfig, late: str) -> str:
    """A tile of one pass whose operands are read while they are loaded, `late` as the last one."""
    core = config.core
    loads = {
        "a": f"load.a.8 a0, r0, rows={core.m}, steps=4, stride=64",
        "w": "load.w w0, r1, beats=8",
        "s": f"load.s s0, r2, beats={2 * core.column_groups}",
        "c": f"load.c c0, r4, rows={core.m}, columns={core.n}, stride=64",
    }
    *first, last = sorted(loads, key=lambda name: name == late)
    return "\n".join([
        f"set r0, 0\n set r1, 1024\n set r2, 2048\n set r4, {ADDENDS}",
        *(loads[name] for name in first), "fence", loads[last],
        f"{_lmma(config)} a0, w0, s0, d0, steps=4, first, last, addend=c0",
        "halt",
    ])  # fmt: skip


def _hidden(config: EngineConfig) -> str:
    """A load that takes less time than the lanes have work for."""
    return f"""load.a.8 a0, r0, rows={config.core.m}, steps=16, stride=64
        load.w w0, r0, beats=32
        load.s s0, r0, beats={4 * config.core.column_groups}
        fence
        {_lmma(config)} a0, w0, s0, d0, steps=4, passes=4, first, rewind_a, rewind_w, rewind_s
        {_lmma(config)} a0, w0, s0, d0, steps=4, passes=4, last, rewind_a, rewind_w, rewind_s
        set r1, 1024
        load.a.8 a1, r1, rows={config.core.m}, steps=4, stride=64
        halt"""


@cocotb.test()
async def stalls(dut: Any) -> None:
    """An access that takes some cycles longer is as many stalls of its cause, of no other."""
    system = await _system(dut)
    memory = system.memory
    config = system.config
    program = _tile(config)
    # The last word of results: others have time while it is made.
    last = 3072 + 64 * (config.core.m - 1) + 4 * config.core.n - config.word_bytes
    places = {
        "stall_fetch": 4096, "stall_activations": 0, "stall_weights": 1024, "stall_scales": 2048,
        "stall_addends": ADDENDS, "stall_results": last,
    }  # fmt: skip
    memory.content = bytearray(random.Random(1).randbytes(4096))

    async def counted(program: str, slow: dict[int, int]) -> dict[str, int]:
        memory.slow = slow
        await system.write(control=CLEAR)
        assert (await system.run(program)).cause is Cause.HALT
        return await system.counters()

    # While lanes work, none is a stall.
    assert await counted(_hidden(config), {}) == await counted(_hidden(config), {1024: 25})
    base = await counted(program, {})
    assert base["tiles"] == 1
    assert min(base.values()) > 0 and base["busy"] > sum(base[cause] for cause in places)
    assert await counted(program, {}) == base
    for cause in places:
        for cycles in (1, 77):
            want = {**base, cause: base[cause] + cycles, "busy": base["busy"] + cycles}
            found = await counted(program, {places[cause]: cycles})
            assert found == want, f"{cycles} cycles of {cause}"
    # What counters hold stays until software clears them.
    memory.slow = {}
    await system.run(program)
    again = await system.counters()
    assert {name: again[name] - 2 * count for name, count in base.items()} == {
        name: 77 if name in ("stall_results", "busy") else 0 for name in base
    }
    # A load that lanes wait for amid their work counts as one before it.
    for cause, late in (("activations", "a"), ("weights", "w"), ("scales", "s"), ("addends", "c")):
        stall = f"stall_{cause}"
        few = await counted(_early(config, late), {places[stall]: 50})
        many = await counted(_early(config, late), {places[stall]: 127})
        assert many == {**few, stall: few[stall] + 77, "busy": few["busy"] + 77}, stall


@cocotb.test()
async def errors_of_the_bus(dut: Any) -> None:
    """Each stops the program with `bus` and its index; a soft reset is all that helps."""
    system = await _system(dut)
    memory, program = system.memory, _tile(system.config)
    start = random.Random(2).randbytes(4096)
    results = set(range(3072 // 64, 4096 // 64))
    for bad, at in (
        ({0}, 4), ({1024 // 64}, 6), ({2048 // 64}, 8), ({ADDENDS // 64}, 11), (results, 14),
        ({64}, 0),
    ):  # fmt: skip
        memory.content, memory.bad = bytearray(start), bad
        assert await system.run(program) == (Cause.BUS, at, DONE | ERROR)
        assert memory.content == start
        memory.bad = set()
        assert await system.run("halt") == (Cause.BUS, at, DONE | ERROR)
        await system.soft_reset()
        assert await system.run(program) == (Cause.HALT, 15, DONE)
        assert memory.content != start


@cocotb.test()
async def starts_and_refusals(dut: Any) -> None:
    """What cannot be started, an illegal instruction, and a start while a program runs."""
    system = await _system(dut)
    memory, config = system.memory, system.config
    memory.content = bytearray(random.Random(3).randbytes(4096))
    start = bytes(memory.content)
    most = 1 << config.address_bits
    for base, length, cause in (
        (0, 0, Cause.FETCH),
        (0, config.program_words + 1, Cause.RANGE),
        (0, 1 << 31, Cause.RANGE),
        (config.word_bytes // 2, 1, Cause.MISALIGNED),
        (most - config.word_bytes, 2, Cause.ADDRESS),
        (1, 0, Cause.FETCH),
    ):
        await system.start(base, length)
        assert await system.end() == (cause, 0, DONE | ERROR)
    assert await system.run([*assemble("set r0, 8\n add r0, 8"), 0xFF, *assemble("halt")]) == (
        Cause.OPCODE, 2, DONE | ERROR,
    )  # fmt: skip
    # The limit is the last byte that a tile may have; 0 is all there is.
    load = f"set r0, 2048\n load.w w0, r0, beats={config.word_bytes}\n halt"
    size = 2048 + config.core.weight_beat_bytes * config.word_bytes
    assert await system.run(load, size) == (Cause.HALT, 2, DONE)
    assert await system.run(load, size - 1) == (Cause.ADDRESS, 1, DONE | ERROR)
    assert await system.run(load) == (Cause.HALT, 2, DONE)
    # A start is nothing to an engine that is busy, and an event that is not enabled is none.
    await system.write(control=CLEAR)
    words = assemble("loop 50\n fence\n end\n halt")
    memory.content += to_bytes(words)
    await system.start(4096, len(words))
    await system.start(0, 0)
    assert await system.read("status") == 1
    await system.write(interrupt_enable=ERROR)
    while not await system.read("status") & 2:
        pass
    assert not int(dut.irq.value) and await system.read("interrupt_pending") == DONE
    await system.write(interrupt_enable=DONE)
    assert await system.end() == (Cause.HALT, 3, DONE)
    assert await system.read("busy_low") > 50 * 2 * 4
    assert memory.content[:4096] == start
