"""Bench of `ControlRegisters` on cocotbext-axi; what software sees is predicted from the SystemRDL.

The compiler's tree of the registers says where a field is, what a write does to it and what it is
after reset. The bench knows only which port of hardware belongs to a field.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp
from systemrdl.node import AddrmapNode, FieldNode, RegNode

from lutcore.axi.rdl import elaborate

from .axi_memory import channels, pauses
from .axi_runner import Watch, bench_settings
from .streams import Bench

PAGE_BYTES = 4096
OPERATIONS = 1500


class _Hardware(Watch):
    """The engine's side: drives states, counts and events, and sees pulses."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut, "s_axi")
        self.pulses: Counter[str] = Counter()
        self.high: dict[str, int] = {}  # cycles for which an input stays high
        self.strike = False  # raise an event in the one cycle in which a write takes effect
        self.taken: set[str] = set()

    def drive(self, _: object) -> None:
        """An input is high for its cycles."""
        for name, cycles in self.high.items():
            getattr(self.dut, name).value = int(cycles > 0)
            self.high[name] = max(0, cycles - 1)

    def sample(self, cycle: int) -> bool:
        """Counts the outputs that are high."""
        for name in ("control_start", "control_soft_reset"):
            self.pulses[name] += int(getattr(self.dut, name).value)
        self.taken |= {channel for channel in ("aw", "w") if self.moves(channel)}
        if len(self.taken) == 2:
            self.taken.clear()
            if self.strike:
                self.high["interrupt_pending_error"] = 1
        return super().sample(cycle)


class _Model:
    """What software sees."""

    def __init__(self, top: AddrmapNode, counters_from: int) -> None:
        self.registers: dict[int, RegNode] = {
            node.absolute_address: node for node in top.children() if isinstance(node, RegNode)
        }
        self.counters_from = counters_from
        self.values: dict[str, int] = {}
        for register in self.registers.values():
            for field in register.fields():
                reset: Any = field.get_property("reset", default=0)
                self.values[self.name(field)] = reset
        self.counts = {
            register.inst_name.removesuffix("_low"): counters_from
            for register in self.registers.values()
            if register.inst_name.endswith("_low")
            and "Counter" in str(register.get_property("desc"))
        }
        self.kept = self.carries = 0
        self.pulses: Counter[str] = Counter()

    @staticmethod
    def name(field: FieldNode) -> str:
        return f"{field.parent.inst_name}_{field.inst_name}"

    def read(self, address: int) -> int | None:
        """The word, or None where there is no register."""
        register = self.registers.get(address)
        if register is None:
            return None
        counter, _, half = register.inst_name.rpartition("_")
        if counter in self.counts:
            if half == "high":
                self.carries += self.kept
                return self.kept
            self.kept = self.counts[counter] >> 32
            return self.counts[counter] & 0xFFFFFFFF
        word = 0
        for field in register.fields():
            if field.is_sw_readable:
                word |= self.values[self.name(field)] << field.low
        return word

    def write(self, address: int, data: int, mask: int) -> bool:
        """Whether the write is allowed; what it changes."""
        register = self.registers.get(address)
        if register is None or not register.has_sw_writable:
            return False
        for field in register.fields():
            name, width = self.name(field), (1 << field.width) - 1
            bits, strobes = data >> field.low & width, mask >> field.low & width
            if field.get_property("singlepulse"):
                self.pulses[name] += bits & strobes
                if name == "control_clear_counters" and bits & strobes:
                    self.counts = dict.fromkeys(self.counts, self.counters_from)
            elif str(field.get_property("onwrite")).endswith("woclr"):
                self.values[name] &= ~(bits & strobes)
            else:
                self.values[name] = self.values[name] & ~strobes | bits & strobes
        return True

    def interrupt(self) -> bool:
        """Whether an event is pending that is enabled."""
        names = (name for name in self.values if name.startswith("interrupt_pending_"))
        return any(
            self.values[name] & self.values[name.replace("pending", "enable")] for name in names
        )


async def _clock(bench: Bench) -> None:
    while True:
        await bench.clock()


@cocotb.test()
async def random_accesses(dut: Any) -> None:
    """Reads and writes of any address, alignment and strobes; events, states, counts; stalls."""
    settings = bench_settings()
    path = Path("map.rdl")
    path.write_text(settings["rdl"])
    model = _Model(elaborate(path), settings["counters_from"])
    rng = random.Random(31)
    logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
    hardware = _Hardware(dut)
    states = {
        model.name(field): field.width
        for register in model.registers.values()
        for field in register.fields()
        if field.is_hw_writable
        and hasattr(dut, model.name(field))
        and not field.get_property("intr")
    }
    for name in states:
        getattr(dut, name).value = 0
    for name in ("interrupt_pending_done", "interrupt_pending_error"):
        hardware.high[name] = 0
    hardware.high |= dict.fromkeys((f"count_{name}" for name in model.counts), 0)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
    bench = Bench(dut, (), (), agents=[hardware])
    await bench.reset(4)
    cocotb.start_soon(_clock(bench))
    writable = [address for address, node in model.registers.items() if node.has_sw_writable]
    addresses = [*model.registers, *2 * writable, 0x1C, 0x3C, 0x7FC, PAGE_BYTES - 4]
    buses = channels(master)
    pending = next(a for a in writable if model.registers[a].inst_name == "interrupt_pending")
    unmapped = partial = 0
    for index in range(OPERATIONS):
        if index % 50 == 0:
            for channel in buses:
                channel.set_pause_generator(pauses(rng, rng.choice((0.0, 0.4, 0.9))))
        kind = rng.randrange(8)
        address = rng.choice(writable if kind == 0 else addresses)
        if kind < 3:
            offset = rng.choice((0, 0, 0, 1, 2, 3))
            size = rng.randint(1, 4 - offset)
            data = rng.getrandbits(32)
            mask = ((1 << 8 * size) - 1) << 8 * offset
            content = (data >> 8 * offset & ((1 << 8 * size) - 1)).to_bytes(size, "little")
            allowed = model.write(address, data, mask)
            answer: Any = await master.write(address + offset, content)
            assert answer.resp == (AxiResp.OKAY if allowed else AxiResp.SLVERR), hex(address)
            partial += size < 4
            unmapped += not allowed
        elif kind < 6:
            want = model.read(address)
            answer: Any = await master.read(address, 4)
            got = int.from_bytes(answer.data, "little")
            assert got == (want or 0), f"{address:#x}: {got:#x}, not {want:#x}"
            assert answer.resp == (AxiResp.SLVERR if want is None else AxiResp.OKAY), hex(address)
        elif kind == 6:
            name = rng.choice(list(hardware.high))
            cycles = 1 if name.startswith("interrupt") else rng.randint(1, 9)
            hardware.high[name] = cycles
            for _ in range(cycles + 2):
                await RisingEdge(dut.clk)
            if name.startswith("count_"):
                model.counts[name.removeprefix("count_")] += cycles
            else:
                model.values[name] = 1
        elif index % 8 == 0:
            # An event in the cycle in which it is cleared: setting wins.
            hardware.strike = True
            await master.write(pending, b"\3")
            hardware.strike = False
            model.values |= {"interrupt_pending_done": 0, "interrupt_pending_error": 1}
            await RisingEdge(dut.clk)
        else:
            name, width = rng.choice(list(states.items()))
            model.values[name] = rng.getrandbits(width)
            getattr(dut, name).value = model.values[name]
            await RisingEdge(dut.clk)
        await RisingEdge(dut.clk)
        await RisingEdge(dut.clk)
        assert bool(int(dut.o_interrupt.value)) == model.interrupt(), f"operation {index}"
        for name in ("program_base_low_address", "program_length_instructions"):
            assert int(getattr(dut, name).value) == model.values[name], name
    for name, count in hardware.pulses.items():
        assert count == model.pulses[name] > 5, name
    assert partial > 100 and unmapped > 50
    assert model.carries or not settings["counters_from"], "no counter went beyond 32 bits"


@cocotb.test()
async def reads_beside_writes(dut: Any) -> None:
    """Neither side waits for the other, and a write is seen by the reads after it."""
    rng = random.Random(32)
    logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
    bench = Bench(dut, (), (), agents=[_Hardware(dut)])
    await bench.reset(4)
    cocotb.start_soon(_clock(bench))
    for channel in channels(master):
        channel.set_pause_generator(pauses(rng, 0.4))
    length = 0x38
    written = 0
    for _ in range(150):
        value = rng.getrandbits(32)
        write = cocotb.start_soon(master.write(length, value.to_bytes(4, "little")))
        magic: Any = await master.read(0, 4)
        between: Any = await master.read(length, 4)
        await write
        after: Any = await master.read(length, 4)
        assert magic.data == b"CTUL"
        assert int.from_bytes(between.data, "little") in (written, value)
        assert int.from_bytes(after.data, "little") == value
        written = value
